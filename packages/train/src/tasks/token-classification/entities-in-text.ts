import { GpugradError } from "@gpugrad/tensor";
import { softmax } from "../sequence-classification/predictions.ts";

/**
 * How tokens become entities: each by itself (`none`); neighbours of one type joined (`simple`); or each word decided first, by its first token,
 * by the mean of its tokens, or by the surest of them.
 */
export const AGGREGATION_STRATEGIES = ["none", "simple", "first", "average", "max"] as const;
export type AggregationStrategy = (typeof AGGREGATION_STRATEGIES)[number];

/** A text's tokens with what the model says of them; a long text has several windows, which overlap. */
export interface TokenWindow {
  readonly ids: ArrayLike<number>;
  /** Where each token lies in the text, in code points. */
  readonly offsets: readonly (readonly [start: number, end: number])[];
  /** 1 for tokens that are not of the text. */
  readonly special: ArrayLike<number>;
  /** A row for each token. */
  readonly logits: readonly ArrayLike<number>[];
}

/** What entities need of a tokenizer; `AutoTokenizer` of @gpugrad/bert gives it. */
export interface TokenNames {
  idToToken(id: number): string | undefined;
  convertTokensToString(tokens: readonly string[]): string;
  readonly unkTokenId: number | undefined;
  /** Whether tokens that continue a word are marked, as WordPiece's `##`. */
  readonly marksContinuation: boolean;
}

/** An entity under the names that Transformers' pipeline has for it. */
export interface TextEntity {
  /** The class of a token, with `none`; otherwise there is an `entity_group`, the class without its prefix. */
  entity?: string;
  entity_group?: string;
  score: number;
  /** Which token it is, with `none`. */
  index?: number;
  word: string;
  /** Where it lies in the text, in code points. */
  start: number;
  end: number;
}

interface Part {
  entity: string;
  score: number;
  word: string;
  start: number;
  end: number;
  index: number;
}

interface Token {
  word: string;
  scores: number[];
  start: number;
  end: number;
  index: number;
  continuesWord: boolean;
}

/**
 * The entities in a text, as Transformers' token-classification pipeline finds them.
 * @param names of the classes by id
 * @param ignored classes and types that are left out; `O` is what is not an entity
 * @see https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TokenClassificationPipeline
 */
export function entitiesInText(
  text: string,
  windows: readonly TokenWindow[],
  names: Readonly<Record<string | number, string>>,
  tokenizer: TokenNames,
  strategy: AggregationStrategy = "simple",
  ignored: readonly string[] = ["O"],
): TextEntity[] {
  if (!AGGREGATION_STRATEGIES.includes(strategy))
    throw new GpugradError(
      `entitiesInText: the aggregation strategy is ${JSON.stringify(strategy)}; there are ${AGGREGATION_STRATEGIES.join(", ")}.`,
    );
  const characters = [...text];
  const found = windows.flatMap((window) => {
    const tokens = tokensOf(window, characters, tokenizer);
    const parts =
      strategy === "none" || strategy === "simple"
        ? tokens.map((token) => ({ ...token, ...bestOf(token.scores, names) }))
        : wordsOf(tokens).map((word) => decided(word, strategy, names, tokenizer));
    const entities =
      strategy === "none"
        ? parts.map(({ entity, score, index, word, start, end }) => ({ entity, score, index, word, start, end }))
        : groupsOf(parts).map((group) => joined(group, tokenizer));
    return entities.filter(({ entity, entity_group }: TextEntity) => !ignored.includes((entity ?? entity_group)!));
  });
  return windows.length > 1 ? withoutOverlaps(found) : found;
}

function tokensOf(window: TokenWindow, characters: readonly string[], tokenizer: TokenNames): Token[] {
  const { ids, offsets, special, logits } = window;
  return logits.flatMap((row, index) => {
    if (special[index]) return [];
    const [start, end] = offsets[index]!;
    const isUnknown = ids[index] === tokenizer.unkTokenId;
    const slice = characters.slice(start, end);
    const token = tokenizer.idToToken(ids[index]!) ?? "";
    const continuesWord =
      !isUnknown &&
      (tokenizer.marksContinuation
        ? [...token].length !== slice.length
        : start > 0 && !characters.slice(start - 1, start + 1).includes(" "));
    return [{ word: isUnknown ? slice.join("") : token, scores: softmax(row), start, end, index, continuesWord }];
  });
}

function bestOf(scores: readonly number[], names: Readonly<Record<string | number, string>>) {
  const id = argmax(scores);
  return { entity: names[id] ?? `LABEL_${id}`, score: scores[id]! };
}

const argmax = (values: readonly number[]): number => values.reduce((best, value, i) => (value > values[best]! ? i : best), 0); // prettier-ignore

/** Tokens in groups: each token that continues no word begins one. */
function wordsOf(tokens: readonly Token[]): Token[][] {
  const words: Token[][] = [];
  for (const token of tokens)
    if (token.continuesWord && words.length > 0) words.at(-1)!.push(token);
    else words.push([token]);
  return words;
}

function decided(
  word: readonly Token[],
  strategy: "first" | "average" | "max",
  names: Readonly<Record<string | number, string>>,
  tokenizer: TokenNames,
): Part {
  const first = word[0]!;
  const scores = {
    first: () => first.scores,
    average: () => first.scores.map((_, k) => word.reduce((sum, token) => sum + token.scores[k]!, 0) / word.length),
    max: () =>
      word.reduce((best, { scores: own }) => (Math.max(...own) > Math.max(...best) ? own : best), first.scores),
  }[strategy]();
  return {
    ...bestOf(scores, names),
    word: tokenizer.convertTokensToString(word.map((token) => token.word)),
    ...{ start: first.start, end: word.at(-1)!.end, index: first.index },
  };
}

/** `B-X` as B and X; a class without such a prefix may continue one of its name. */
const tagOf = (entity: string): { begins: boolean; type: string } => ({
  begins: entity.startsWith("B-"),
  type: /^[BI]-/.test(entity) ? entity.slice(2) : entity,
});

/** Neighbours of one type; what begins an entity begins a group. */
function groupsOf(parts: readonly Part[]): Part[][] {
  const groups: Part[][] = [];
  for (const part of parts) {
    const { begins, type } = tagOf(part.entity);
    const before = groups.at(-1)?.at(-1);
    if (before && !begins && tagOf(before.entity).type === type) groups.at(-1)!.push(part);
    else groups.push([part]);
  }
  return groups;
}

function joined(group: readonly Part[], tokenizer: TokenNames): TextEntity {
  const [first, last] = [group[0]!, group.at(-1)!];
  return {
    entity_group: first.entity.slice(first.entity.indexOf("-") + 1),
    score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
    word: tokenizer.convertTokensToString(group.map(({ word }) => word)),
    ...{ start: first.start, end: last.end },
  };
}

/** Of entities that overlap, the longer; of two of one length, the one that scores higher. */
function withoutOverlaps(entities: readonly TextEntity[]): TextEntity[] {
  const kept: TextEntity[] = [];
  for (const entity of entities.toSorted((a, b) => a.start - b.start)) {
    const before = kept.at(-1);
    if (!before || !(before.start <= entity.start && entity.start < before.end)) kept.push(entity);
    else {
      const longer = entity.end - entity.start - (before.end - before.start);
      if (longer > 0 || (longer === 0 && entity.score > before.score)) kept[kept.length - 1] = entity;
    }
  }
  return kept;
}
