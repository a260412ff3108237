// What the host makes of a kernel's settings: how many workgroups, with which parameters, and which settings go together.
import type { AdapterFacts, Source } from "./protocol.ts";
import { settingsOf } from "./source.ts";

export type Values = Record<string, number>;
/** How a kernel is started. */
export type Start = Pick<Source, "params" | "groups">;

/** What rules are about, beside the values. */
export interface Situation {
  facts: Pick<AdapterFacts, "cpu" | "subgroupSize">;
  params: Values;
  /** The values that the host gives. */
  host: Values;
}

/** Something that must stay true of settings. */
export interface Rule {
  says: string;
  of: string[];
  test: (values: Values, situation: Situation) => boolean;
}

/** A kernel's settings that may be others than the host's. */
interface Tuning {
  free: string[];
  rules: Rule[];
  /** What the host would change along with one of them. */
  follow?: (changed: string, values: Values, params: Values) => Values;
  /** How the host would start it. */
  start?: (values: Values, params: Values, groups: Source["groups"]) => Partial<Start>;
}

const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
const isPowerOfTwo = (n: number): boolean => n > 0 && (n & (n - 1)) === 0;

const powerOfTwo = (name: string, why = "trees and swaps halve it"): Rule => ({
  ...{ says: `${name} is a power of two: ${why}`, of: [name], test: (v) => isPowerOfTwo(v[name]!) },
});
const atLeast = (name: string, least: number): Rule => ({
  ...{ says: `${name} is at least ${least}`, of: [name], test: (v) => v[name]! >= least },
});
const oneOf = (name: string, values: number[], why: string): Rule => ({
  ...{ says: `${name} is ${values.join(" or ")}: ${why}`, of: [name], test: (v) => values.includes(v[name]!) },
});
/** Of a switch for what lies at whole vectors. */
const whole = (name: string): Rule => ({
  says: `${name} is on only where that is so`,
  of: [name],
  test: (v, { host }) => v[name]! <= host[name]!,
});
const unrolled: Rule = {
  says: "UNROLL is off on a CPU, whose compiler takes minutes for long bodies",
  of: ["UNROLL"],
  test: (v, { facts, host }) => !facts.cpu || v["UNROLL"]! <= host["UNROLL"]!,
};

const rows: Tuning = {
  free: ["ROWS_PER_GROUP"],
  rules: [],
  start: ({ ROWS_PER_GROUP }, { rows }) => ({ groups: [ceilDiv(rows!, ROWS_PER_GROUP!), 1, 1] }),
};

const tree: Tuning = { free: ["SIZE"], rules: [powerOfTwo("SIZE")] }; // a row or an element for each workgroup, however large that is

/** Vectors of a row: softmax is given them, norm the columns. */
const vectorsOf = ({ vectors, cols }: Values, WIDTH: number): number => vectors ?? cols! / WIDTH;

const team: Tuning = {
  free: ["SIZE", "TEAM", "SPAN", "VECTORS"],
  rules: [
    powerOfTwo("TEAM"),
    powerOfTwo("SPAN"),
    { says: "SPAN is at most TEAM", of: ["SPAN", "TEAM"], test: ({ SPAN, TEAM }) => SPAN! <= TEAM! },
    {
      says: "SPAN is at most the smallest subgroup of this adapter: partners further away are in another one",
      of: ["SPAN"],
      test: ({ SPAN }, { facts }) => SPAN! <= facts.subgroupSize[0],
    },
    {
      says: "TEAM is SPAN, or all of SIZE: a workgroup has memory for one team",
      of: ["SIZE", "TEAM", "SPAN"],
      test: ({ SIZE, TEAM, SPAN }) => TEAM === SPAN || TEAM === SIZE,
    },
    { says: "SIZE is a multiple of TEAM", of: ["SIZE", "TEAM"], test: ({ SIZE, TEAM }) => SIZE! % TEAM! === 0 },
    {
      says: "TEAM · VECTORS hold a row",
      of: ["TEAM", "VECTORS"],
      test: ({ TEAM, VECTORS, WIDTH }, { params }) => TEAM! * VECTORS! >= vectorsOf(params, WIDTH!),
    },
  ],
  follow: (changed, { TEAM, SPAN, SIZE, WIDTH }, params) =>
    changed === "TEAM" && TEAM! > 0
      ? { VECTORS: Math.max(1, ceilDiv(vectorsOf(params, WIDTH!), TEAM!)), SIZE: TEAM! > SPAN! ? TEAM! : SIZE! }
      : {},
  start: ({ SIZE, TEAM }, { rows }) => ({ groups: [ceilDiv(rows!, Math.floor(SIZE! / TEAM!)), 1, 1] }),
};

/** Square tiles of C: `side` is a tile's. */
const tiles =
  (side: (v: Values) => number, high = side): NonNullable<Tuning["start"]> =>
  (v, { M, N }, [, , z]) => ({ groups: [ceilDiv(N!, side(v)), ceilDiv(M!, high(v)), z] });

const attentionTiled: Tuning = {
  free: ["OWN", "DEPTH", "RUNS", "LINE", "UNROLL"],
  rules: [
    { says: "OWN · 8 ≥ VECTORS", of: ["OWN"], test: ({ OWN, VECTORS }) => OWN! * 8 >= VECTORS! },
    atLeast("DEPTH", 1),
    atLeast("RUNS", 1),
    { says: "LINE is at least DEPTH, and 8: a row of p", of: ["LINE", "DEPTH"], test: ({ LINE, DEPTH }) => LINE! >= Math.max(DEPTH!, 8) }, // prettier-ignore
    unrolled,
  ],
};

/** Workgroups for all heads, if one takes so many of a head's rows. */
const heads = ({ batch_heads }: Values, tokens: number, rows: number): Partial<Start> => ({
  groups: [batch_heads! * ceilDiv(tokens, rows), 1, 1],
});

/** Eight lanes, of which each owns `own` rows, and takes `step` of the others at a time. */
const attentionLanes = (own: string, step: string, tokens: string): Tuning => ({
  free: [own, step],
  rules: [
    oneOf(own, [1, 2, 4], "more don't fit into registers"),
    { says: `${step} · VECTORS is a multiple of 8: the lanes share its loads`, of: [step], test: (v) => v[step]! > 0 && (v[step]! * v["VECTORS"]!) % 8 === 0 }, // prettier-ignore
    step === "KEYS"
      ? { says: "KEYS is 4 or 8", of: [step], test: (v) => v[step] === 4 || v[step] === 8 }
      : { says: `${step} is at most 8`, of: [step], test: (v) => v[step]! <= 8 },
  ],
  start: (v, params) => ({
    ...heads(params, params[tokens]!, 8 * v[own]!),
    params: {
      vectors: v["VECTORS"]! * v[own]!,
      ...("loads" in params && { loads: (v[step]! * v["VECTORS"]!) / 8 }),
    },
  }),
});

/** By the beginnings of kernels' names. */
const TUNINGS: [kernels: string[], Tuning][] = [
  [["softmax-rows", "norm-rows", "cross-entropy-rows.wgsl"], rows],
  [["softmax-workgroup", "norm-workgroup", "cross-entropy-workgroup", "matmul-dots"], tree],
  [["softmax-subgroup", "norm-subgroup"], team],
  [["matmul-naive"], { free: ["BLOCK"], rules: [atLeast("BLOCK", 1)] }],
  [["matmul-workgroup-tile"], { free: ["SIDE"], rules: [atLeast("SIDE", 1)], start: tiles(({ SIDE }) => SIDE!) }],
  [
    ["matmul-tiled"],
    {
      free: ["SIDE", "BLOCKS", "A_ALIGNED", "B_ALIGNED", "UNROLL"],
      rules: [
        powerOfTwo("SIDE", "a gap of 4 / SIDE vectors keeps banks apart"),
        { says: "BLOCKS = SIDE · SIDE", of: ["SIDE", "BLOCKS"], test: ({ SIDE, BLOCKS }) => BLOCKS === SIDE! * SIDE! },
        ...[whole("A_ALIGNED"), whole("B_ALIGNED"), unrolled],
      ],
      follow: (changed, { SIDE }) => (changed === "SIDE" ? { BLOCKS: SIDE! * SIDE! } : {}),
      start: tiles(({ SIDE }) => 64 * SIDE!),
    },
  ],
  [
    ["matmul-rows.cpu"],
    {
      free: ["ROWS", "A_WHOLE", "B_WHOLE"],
      rules: [oneOf("ROWS", [16, 32], "its sums are added by eights"), whole("A_WHOLE"), whole("B_WHOLE")],
      start: tiles(() => 32, ({ ROWS }) => ROWS!), // prettier-ignore
    },
  ],
  [["attention-tiled", "attention-dq-tiled", "attention-dkv-tiled"], attentionTiled],
  [["attention-subgroup.cpu", "attention-dq-subgroup.cpu"], attentionLanes("ROWS", "KEYS", "queries")],
  [["attention-dkv-subgroup.cpu"], attentionLanes("KEYS", "QUERIES", "keys")],
];

const NONE: Tuning = { free: [], rules: [] };

const tuningOf = (file: string): Tuning =>
  TUNINGS.find(([kernels]) => kernels.some((name) => file.includes(`/${name}`)))?.[1] ?? NONE;

export const valuesOf = (code: string): Values =>
  Object.fromEntries(settingsOf(code).map(({ name, value }) => [name, Number(value)]));

/** Parameters that are one number; of attention's strides, what lies behind them: how many tokens there are. */
function numbersOf(params: Source["params"]): Values {
  const numbers = Object.entries(params).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const tokens = (name: string): number => (params[name] as readonly number[] | undefined)?.[3] ?? 0;
  return { ...Object.fromEntries(numbers), queries: tokens("q_strides"), keys: tokens("k_strides") };
}

/** The rules of a kernel for these values, the host's being those of `shipped`. */
export function rulesOf(
  shipped: Source,
  values: Values,
  facts: Situation["facts"],
): (Omit<Rule, "test"> & { holds: boolean })[] {
  const { free, rules } = tuningOf(shipped.file);
  const host = valuesOf(shipped.code);
  const situation = { facts, host, params: numbersOf(shipped.params) };
  const fixed = Object.keys(host).filter((name) => !free.includes(name) && values[name] !== host[name]);
  return [
    ...rules
      .filter(({ of }) => of.some((name) => name in values))
      .map(({ says, of, test }) => ({ says, of, holds: test(values, situation) })),
    ...fixed.map((name) => ({ says: `${name} stays ${host[name]}: the host counts on it`, of: [name], holds: false })),
  ];
}

/** All that changes in `shipped` when one setting does: that and what the host derives from it. */
export function withFollowing(
  shipped: Source,
  code: string,
  name: string,
  value: number | boolean,
): Record<string, number | boolean> {
  const values = { ...valuesOf(code), [name]: Number(value) };
  return { [name]: value, ...tuningOf(shipped.file).follow?.(name, values, numbersOf(shipped.params)) };
}

/** How the host would start this source, where it starts the one that ships by `start`. */
export function startOf({ file, code }: Pick<Source, "file" | "code">, start: Start): Start {
  const changed = tuningOf(file).start?.(valuesOf(code), numbersOf(start.params), start.groups);
  return { groups: changed?.groups ?? start.groups, params: { ...start.params, ...changed?.params } };
}
