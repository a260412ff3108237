import { autocast, device, fromArray, matmul, withRung, type Tensor } from "@gpugrad/tensor";
import { ladders } from "../../packages/tensor/src/ops/ladders.ts";
import { chooseMatmul, tuningKey } from "../../packages/tensor/src/ops/matmul/choose.ts";
import { type MatmulSizes } from "../../packages/tensor/src/ops/matmul/task.ts";

/** A product as a layer has it: M × K by K × N, of which A or B lies transposed in memory. */
export interface Shape {
  M: number;
  N: number;
  K: number;
  transposeA: boolean;
  transposeB: boolean;
}

/** What was measured for one shape, the fastest first. */
export interface Measured {
  key: string;
  /** What the built-in rules take. */
  usual: string;
  times: { choice: string; ms: number }[];
  /** Candidates that computed wrongly: never taken. */
  wrong: string[];
}

/** Milliseconds for all candidates of a shape together. */
const BUDGET = 900;
const SPLITS = [1, 2, 4, 8, 16];

/** The three products of a linear layer over `tokens` rows: y = x wᵀ, dx = dy w, dw = dyᵀ x. */
export const layer = (tokens: number, inputs: number, outputs: number): Shape[] => [
  { M: tokens, N: outputs, K: inputs, transposeA: false, transposeB: true },
  { M: tokens, N: inputs, K: outputs, transposeA: false, transposeB: false },
  { M: outputs, N: inputs, K: tokens, transposeA: true, transposeB: false },
];

/** All that may be fastest here, as a tuning names it. */
function candidates(sizes: MatmulSizes): string[] {
  const { adapter } = device();
  const splits = SPLITS.filter((s) => s === 1 || sizes.K / s >= 128);
  const tiles = Object.values(ladders.matmul.rungs)
    .filter(({ fastOn }) => fastOn === (adapter.cpu ? "cpu" : "gpu"))
    .filter((rung) => rung.suits(adapter, sizes))
    .flatMap(({ name }) => (adapter.cpu ? name : splits.map((s) => `${name}/${s}`)));
  return Math.min(sizes.M, sizes.N) <= 32 ? [...tiles, "naive"] : tiles; // smaller than a tile
}

/** Times all candidates for a shape, each after its result was compared with float64. */
export async function tuneShape(shape: Shape, precision: MatmulSizes["precision"]): Promise<Measured> {
  const { M, N, K, transposeA, transposeB } = shape;
  const sizes = { M, N, K, batches: 1, precision };
  const random = (n: number): Float32Array => Float32Array.from({ length: n }, () => Math.random() - 0.5);
  const [aValues, bValues] = [random(M * K), random(K * N)];
  const a = fromArray(aValues, transposeA ? [K, M] : [M, K]);
  const b = fromArray(bValues, transposeB ? [N, K] : [K, N]);
  const product = (): Tensor => autocast(() => matmul(a, b, { transposeA, transposeB }), { dtype: precision });
  const check = sampleOf(shape, aValues, bValues, precision);

  const usual = chooseMatmul(device().adapter, sizes);
  const isUsual = (choice: string): boolean => choice.split("/")[0] === usual.name;
  const names = candidates(sizes);
  const measured: Measured = { key: tuningKey(sizes), usual: usual.name, times: [], wrong: [] };
  const results: Tensor[] = []; // kept until all are checked: memory that is used again holds what is right
  const right: string[] = [];
  for (const choice of names) {
    const y = withRung("matmul", choice, product); // compiles
    results.push(y);
    (check(await y.data()) ? right : measured.wrong).push(choice);
  }
  for (const y of results) y.dispose();
  for (const choice of right.sort((x, y) => Number(isUsual(y)) - Number(isUsual(x)))) {
    const best = Math.min(...measured.times.map((t) => t.ms));
    measured.times.push({
      choice,
      ms: await withRung("matmul", choice, () => time(product, best, BUDGET / names.length)),
    });
  }
  for (const t of [a, b]) t.dispose();
  measured.times.sort((x, y) => x.ms - y.ms);
  return measured;
}

/** The least time of a run, in milliseconds: runs are counted up until they take a while together, or the budget is spent. Hopeless ones run twice. */
async function time(work: () => Tensor, best: number, budget: number): Promise<number> {
  const timed = async (runs: number): Promise<number> => {
    const begin = performance.now();
    for (let i = 0; i < runs; i++) work().dispose();
    await device().finish();
    return (performance.now() - begin) / runs;
  };
  const first = [await timed(1), await timed(1)];
  let least = Math.min(...first);
  let spent = first[0]! + first[1]!;
  while (spent < budget && least < 3 * best) {
    const runs = Math.max(1, Math.min(50, Math.floor(Math.min(20, budget / 4) / least)));
    const ms = await timed(runs);
    spent += ms * runs;
    least = Math.min(least, ms);
  }
  return least;
}

/** Compares a product with float64 at its corners and at places here and there: all of it would take longer than tuning. */
function sampleOf(
  { M, N, K, transposeA, transposeB }: Shape,
  a: Float32Array,
  b: Float32Array,
  precision: MatmulSizes["precision"],
): (c: ArrayLike<number>) => boolean {
  const places = [0, N - 1, (M - 1) * N, M * N - 1];
  for (let i = 0; i < 252; i++) places.push(Math.floor(Math.random() * M * N));
  const tolerance = Math.sqrt(K) * (precision === "f16" ? 1e-3 : 1e-5);
  const want = places.map((at) => {
    const [row, col] = [Math.floor(at / N), at % N];
    let sum = 0;
    for (let k = 0; k < K; k++)
      sum += a[transposeA ? k * M + row : row * K + k]! * b[transposeB ? col * K + k : k * N + col]!;
    return sum;
  });
  return (c) => places.every((at, i) => Math.abs(c[at]! - want[i]!) <= tolerance); // NaN is no less
}
