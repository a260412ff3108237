import tiledCode from "../../../../packages/tensor/src/ops/attention/attention-tiled.wgsl";
import { smallNumbers, type Barrier, type Model } from "./model.ts";
import { barrier, memory, read, set, simulate, write, type Invocation, type Memory } from "./workgroup.ts";

// attention-tiled.wgsl at a scale of one: where that has vec4s of rows and 4 × 4 blocks, here are single rows and scores. So a workgroup owns 4
// queries in place of 64, and 4 keys go by at a time in place of 64.
export const T = 8; // queries and keys
export const D = 4;
const ROWS = 4; // queries of a workgroup
const WIDE = 2; // invocations that share a query: 8 there
const RUNS = 2; // scores of a tile that an invocation holds
const KEYS = RUNS * WIDE; // of a tile
const OWN = 2; // numbers of a row of y that an invocation adds up
const THREADS = ROWS * WIDE;
const DEPTH = D;
const LINE = DEPTH + 1;
const LOWEST = -3.4028234663852886e38;

export const ATTENTION_BARRIERS: (Barrier & { text: string })[] = [
  { at: "workgroupBarrier(); // all have read what is to be overwritten", nth: 0, text: "all have read p and v" },
  { at: "workgroupBarrier(); // these dimensions of q and k are there", text: "q and k are there" },
  { at: "workgroupBarrier(); // the eight that share four queries", text: "the largest scores are there" },
  { at: "workgroupBarrier(); // all have read what is to be overwritten", nth: 1, text: "all have read q and k" },
  { at: "workgroupBarrier(); // p and v of 32 keys are there", text: "p and v are there" },
  { at: "workgroupBarrier(); // all sums are there", text: "all sums are there" },
];

/** Where a barrier is in the source: see `Step.at`. */
const placeOf = (barrier: number): string =>
  `${ATTENTION_BARRIERS[barrier]!.at}#${ATTENTION_BARRIERS[barrier]!.nth ?? 0}`;

export interface AttentionOptions {
  /** Which half of the queries. */
  group: number;
  /** Keys that are there; what lies behind is padding. */
  length: number;
  /** Leaves out what brings sums to a new maximum. */
  forgetToShrink: boolean;
  subgroup: number;
  /** Barriers that are left out, as places in ATTENTION_BARRIERS. */
  without: readonly number[];
}

function* attend(lane: number, { group, length, forgetToShrink, without }: AttentionOptions): Invocation {
  const [x, y] = [lane % WIDE, Math.floor(lane / WIDE)];
  const first = group * ROWS;
  const i = first + y;
  const scale = 1 / Math.sqrt(D);
  const waits = (nth: number): boolean => !without.includes(nth);
  const pass = (nth: number) => barrier(placeOf(nth));
  let m = LOWEST;
  let l = 0;
  const o = [0, 0];
  for (let tile = 0; tile < length; tile += KEYS) {
    const s = [0, 0];
    if (waits(0)) yield pass(0);
    for (let n = lane; n < ROWS * DEPTH; n += THREADS) {
      const [row, d] = [Math.floor(n / DEPTH), n % DEPTH];
      const [v] = yield read("query = q[q_at", "q", (first + row) * D + d);
      yield write("left[(row % 4u * 16u", "left", row * LINE + d, v!);
    }
    for (let n = lane; n < KEYS * DEPTH; n += THREADS) {
      const [row, d] = [Math.floor(n / DEPTH), n % DEPTH];
      const [v] = yield read("key = k[k_at", "k", (tile + row) * D + d);
      yield write("right[(row % 4u * SPREAD", "right", row * LINE + d, v!);
    }
    if (waits(1)) yield pass(1);
    for (let n = 0; n < DEPTH; n++) {
      const [q] = yield read("let q4 = mat4x4f(", "left", y * LINE + n);
      for (let c = 0; c < RUNS; c++) {
        const [k] = yield read("let k4 = mat4x4f(", "right", (c * WIDE + x) * LINE + n);
        s[c]! += q! * k!;
        yield set("s", y * KEYS + c * WIDE + x, s[c]!);
      }
    }

    let largest = m;
    for (let c = 0; c < RUNS; c++) {
      s[c] = tile + c * WIDE + x < length ? s[c]! * scale : -Infinity;
      largest = Math.max(largest, s[c]!);
      yield set("s", y * KEYS + c * WIDE + x, s[c]!);
    }
    yield write("parts[thread] = largest", "parts", lane, largest);
    if (waits(2)) yield pass(2);
    for (let other = 0; other < WIDE; other++) {
      const [theirs] = yield read("largest = max(largest, parts[", "parts", y * WIDE + other);
      largest = Math.max(largest, theirs!);
    }
    const shrink = forgetToShrink ? 1 : Math.exp(m - largest);
    m = largest;
    l *= shrink;
    yield set("m", lane, m);
    for (let c = 0; c < RUNS; c++) {
      s[c] = Math.exp(s[c]! - m);
      l += s[c]!;
      yield set("s", y * KEYS + c * WIDE + x, s[c]!);
    }
    yield set("l", lane, l);
    for (let c = 0; c < OWN; c++) {
      o[c]! *= shrink;
      yield set("o", y * D + c * WIDE + x, o[c]!);
    }

    for (let run = 0; run < RUNS; run++) {
      if (waits(3)) yield pass(3);
      yield write("left[(r * 16u + local.y)", "left", y * LINE + x, s[run]!);
      for (let n = lane; n < WIDE * OWN * WIDE; n += THREADS) {
        const [j, d] = [tile + run * WIDE + Math.floor(n / (OWN * WIDE)), n % (OWN * WIDE)];
        const [v] = yield read("value = v[k_at", "v", j * D + d);
        yield write("right[n] = rounded(value)", "right", n, v!);
      }
      if (waits(4)) yield pass(4);
      for (let n = 0; n < WIDE; n++) {
        const [p] = yield read("let p4 = mat4x4f(", "left", y * LINE + n);
        for (let c = 0; c < OWN; c++) {
          const [v] = yield read("let v4 = mat4x4f(", "right", n * OWN * WIDE + c * WIDE + x);
          o[c]! += p! * v!;
          yield set("o", y * D + c * WIDE + x, o[c]!);
        }
      }
    }
  }
  yield write("parts[thread] = l;", "parts", lane, l);
  if (waits(5)) yield pass(5);
  l = 0;
  for (let other = 0; other < WIDE; other++) {
    const [theirs] = yield read("{ l += parts[", "parts", y * WIDE + other);
    l += theirs!;
  }
  const norm = l === 0 ? 0 : 1 / l;
  for (let c = 0; c < OWN; c++) {
    const d = c * WIDE + x;
    yield write("y[q_at + i * params.q_strides.z + d] =", "y", i * D + d, o[c]! * norm);
  }
}

/** q, k and v [T, D] as the page shows them; scores are spread out enough that maxima change. */
export const attentionInputs = () => ({
  q: smallNumbers(T * D, 3).map((v) => 3 * v),
  k: smallNumbers(T * D, 4).map((v) => 2 * v),
  v: smallNumbers(T * D, 6),
});

/** softmax(q kᵀ / √D) v of the keys that are there, with the scores in memory. */
export function attentionExpected(length: number): Float64Array {
  const { q, k, v } = attentionInputs();
  const y = new Float64Array(T * D);
  for (let i = 0; i < T; i++) {
    const dot = (j: number): number =>
      Array.from({ length: D }, (_, d) => q[i * D + d]! * k[j * D + d]!).reduce((a, b) => a + b);
    const scores = Array.from({ length }, (_, j) => dot(j) / Math.sqrt(D));
    const m = Math.max(...scores);
    const p = scores.map((s) => Math.exp(s - m));
    const l = p.reduce((a, b) => a + b, 0);
    for (let d = 0; d < D; d++) y[i * D + d] = p.reduce((sum, w, j) => sum + w * v[j * D + d]!, 0) / l;
  }
  return y;
}

/** Runs the workgroup that owns four of the queries. */
export function attentionModel(options: AttentionOptions): Model {
  const { q, k, v } = attentionInputs();
  const make = (): Memory[] => [
    memory("q", "storage", T, D, { from: q }),
    memory("k", "storage", T, D, { from: k }),
    memory("v", "storage", T, D, { from: v }),
    memory("left", "workgroup", ROWS, DEPTH, { pitch: LINE }),
    memory("right", "workgroup", KEYS, DEPTH, { pitch: LINE }),
    memory("parts", "workgroup", ROWS, WIDE),
    memory("s", "registers", ROWS, KEYS),
    memory("m", "registers", ROWS, WIDE),
    memory("l", "registers", ROWS, WIDE),
    memory("o", "registers", ROWS, D),
    memory("y", "storage", T, D),
  ];
  const invocations = Array.from({ length: THREADS }, (_, lane) => attend(lane, options));
  const steps = simulate(make(), invocations, options.subgroup);
  const own = (i: number): boolean => Math.floor(i / (ROWS * D)) === options.group;
  return {
    ...{ code: tiledCode, memories: make(), steps, subgroup: options.subgroup, side: WIDE, invocations: THREADS },
    ...{ line: 4, banks: 8, removed: options.without.map(placeOf) }, // prettier-ignore
    expected: { memory: "y", data: Array.from(attentionExpected(options.length), (v, i) => (own(i) ? v : NaN)) },
  };
}
