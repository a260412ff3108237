/**
 * Entities in sequences of tags, and their precision, recall and F1, with seqeval's definitions and numbers.
 *
 * @see https://github.com/chakki-works/seqeval
 */
import { check, checkOptions } from "@gpugrad/tensor";
import type { Average, Scores } from "./classification.ts";

/** Tags of sentences: `O`, or a prefix and a type, such as `B-PER`. */
export type TagSequences = readonly (readonly string[])[];

/** What the prefixes of tags may be: begin, inside, outside; with IOBES also end and single. */
export const TAG_SCHEMES = ["IOB2", "IOBES"] as const;
export type TagScheme = (typeof TAG_SCHEMES)[number];

/** An entity: where it is, its last token included. */
export interface Entity {
  sentence: number;
  type: string;
  first: number;
  last: number;
}

export interface EntityOptions {
  /**
   * Only what this scheme allows is an entity. By default tags are read leniently, as CoNLL's `conlleval` does: an `I-` or `E-` after `O`, or after another
   * type, starts an entity, too.
   */
  strict?: TagScheme;
}

/** Scores of one type of entities, and how many of them there truly are. */
export type EntityScores = Scores & { type: string; support: number };

const PREFIXES = "BIESLU";

/** Whether a tag is one of entities: `O`, or a prefix and a type. */
export const isEntityTag = (tag: unknown): tag is string =>
  typeof tag === "string" && (tag === "O" || (tag[1] === "-" && PREFIXES.includes(tag[0]!)));

/** A tag as prefix and type; that of `O` is `O`. */
function partsOf(tag: string): { prefix: string; type: string } {
  const dash = tag.indexOf("-");
  return { prefix: tag[0] ?? "O", type: (dash < 0 ? tag : tag.slice(dash + 1)) || "_" };
}

const OUTSIDE = partsOf("O");

/** The entities of sentences, in their order. */
export function entitiesOf(tags: TagSequences, options: EntityOptions = {}): Entity[] {
  checkOptions("entitiesOf", options, { strict: TAG_SCHEMES });
  const { strict } = options;
  return tags.flatMap((sentence, i) => {
    const parts = sentence.map((tag, t) => {
      check(
        isEntityTag(tag),
        () =>
          `entities: tag ${t} of sentence ${i} is ${JSON.stringify(tag)}; a tag is O, or a prefix and a type: B-PER.`,
      );
      return partsOf(tag);
    });
    return (strict ? strictly(parts, strict) : leniently(parts)).map((found) => ({ sentence: i, ...found }));
  });
}

type Parts = ReturnType<typeof partsOf>;
type Found = Omit<Entity, "sentence">;

function leniently(parts: readonly Parts[]): Found[] {
  const found: Found[] = [];
  let [first, before]: [number, Parts] = [0, { prefix: "O", type: "" }];
  for (const [t, tag] of [...parts, OUTSIDE].entries()) {
    const isOther = before.type !== tag.type;
    const isOpen = before.prefix !== "O";
    const closes = "ES".includes(before.prefix) || (isOpen && ("BSO".includes(tag.prefix) || isOther));
    const opens = "BS".includes(tag.prefix) || (tag.prefix !== "O" && ("OES".includes(before.prefix) || isOther));
    if (isOpen && closes) found.push({ type: before.type, first, last: t - 1 });
    if (opens) first = t;
    before = tag;
  }
  return found;
}

function strictly(parts: readonly Parts[], scheme: TagScheme): Found[] {
  const found: Found[] = [];
  for (let first = 0; first < parts.length;) {
    const { prefix, type } = parts[first]!;
    let end = first + 1;
    if (prefix === "B") {
      const continues = scheme === "IOB2" ? "I" : "IE";
      // In IOBES, nothing continues an entity beyond its E.
      while (parts[end]?.type === type && continues.includes(parts[end]!.prefix) && parts[end - 1]!.prefix !== "E")
        end++;
    }
    const isWhole =
      scheme === "IOB2" ? prefix === "B" : prefix === "S" || (prefix === "B" && parts[end - 1]!.prefix === "E");
    if (isWhole) found.push({ type, first, last: end - 1 });
    first = end;
  }
  return found;
}

interface Counts {
  right: number;
  predicted: number;
  actual: number;
}

/** A ratio 0/0 is 0, as seqeval with `zero_division=0`. */
const scoresOf = ({ right, predicted, actual }: Counts): Scores => ({
  precision: predicted > 0 ? right / predicted : 0,
  recall: actual > 0 ? right / actual : 0,
  f1: predicted + actual > 0 ? (2 * right) / (predicted + actual) : 0,
});

function countEntities(owner: string, truth: TagSequences, guess: TagSequences, options: EntityOptions) {
  const lengths = (tags: TagSequences): string => tags.map((sentence) => sentence.length).join();
  check(
    lengths(truth) === lengths(guess),
    () => `${owner}: the lengths differ: ${truth.length} and ${guess.length} sentences. Both have one tag per token.`,
  );
  const counts = new Map<string, Counts>();
  const of = (type: string): Counts => {
    const known = counts.get(type) ?? { right: 0, predicted: 0, actual: 0 };
    counts.set(type, known);
    return known;
  };
  const keyOf = ({ sentence, type, first, last }: Entity): string => `${sentence} ${first} ${last} ${type}`;
  const actual = entitiesOf(truth, options);
  const known = new Set(actual.map(keyOf));
  for (const { type } of actual) of(type).actual++;
  for (const entity of entitiesOf(guess, options)) {
    const count = of(entity.type);
    count.predicted++;
    if (known.has(keyOf(entity))) count.right++;
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Precision, recall and F1 of entities: one is right where its type and both of its ends are.
 * @param options `average`: over all entities (`micro`, the default), over types, over types by support
 * @see https://github.com/chakki-works/seqeval
 */
export function entityF1(
  truth: TagSequences,
  guess: TagSequences,
  options: EntityOptions & { average?: Exclude<Average, "binary"> } = {},
): Scores {
  const { average = "micro", ...others } = options;
  checkOptions("entityF1", { average }, { average: ["micro", "macro", "weighted"] });
  const counts = countEntities("entityF1", truth, guess, others).map(([, each]) => each);
  const total = (key: keyof Counts): number => counts.reduce((sum, each) => sum + each[key], 0);
  if (average === "micro")
    return scoresOf({ right: total("right"), predicted: total("predicted"), actual: total("actual") });
  const weightOf = ({ actual }: Counts): number => (average === "weighted" ? actual : 1);
  const weight = average === "weighted" ? total("actual") || 1 : counts.length; // without any type, the mean over types is NaN
  const mean = (key: keyof Scores): number =>
    counts.reduce((sum, each) => sum + weightOf(each) * scoresOf(each)[key], 0) / weight;
  return { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") };
}

/** Scores of each type that is in truth or guess, by name. */
export function entityScores(truth: TagSequences, guess: TagSequences, options: EntityOptions = {}): EntityScores[] {
  return countEntities("entityScores", truth, guess, options).map(([type, counts]) => ({
    ...{ type, support: counts.actual },
    ...scoresOf(counts),
  }));
}

/** Share of equal tags, `O` included; 0 for no tags. */
export function tagAccuracy(truth: TagSequences, guess: TagSequences): number {
  const [a, b] = [truth.flat(), guess.flat()];
  check(a.length === b.length, () => `tagAccuracy: ${a.length} and ${b.length} tags. It takes as many of both.`);
  return a.length === 0 ? 0 : a.filter((tag, i) => tag === b[i]).length / a.length;
}
