// The steps on the way to the tiled kernels of matmul and attention (docs/kernels), each a file that runs: compared with float64, and timed.
import { readdirSync, readFileSync } from "node:fs";
import { device, empty, init, kernel, manualSeed, randn, run, type Shape, type Tensor } from "@gpugrad/tensor";

interface Case {
  op: string;
  inputs: Record<string, Tensor>;
  output: { name: string; shape: Shape; expected: Float64Array };
  params: Record<string, number>;
  workgroups: [number, number];
}

/** C = A · B of f32 tensors [M, K] and [K, N]. */
async function matmul(M: number, N: number, K: number): Promise<Case> {
  const [a, b] = [randn([M, K]), randn([K, N])];
  const [left, right] = [await a.data(), await b.data()];
  const expected = new Float64Array(M * N);
  for (let i = 0; i < M; i++)
    for (let k = 0; k < K; k++)
      for (let j = 0; j < N; j++) expected[i * N + j]! += left[i * K + k]! * right[k * N + j]!;
  const output = { name: "c", shape: [M, N], expected };
  return { op: "matmul", inputs: { a, b }, output, params: { M, N, K }, workgroups: [N / 64, M / 64] };
}

/** y = softmax(q kᵀ / √64) v of f32 tensors [heads, tokens, 64]. */
async function attention(heads: number, tokens: number): Promise<Case> {
  const shape = [heads, tokens, 64];
  const [q, k, v] = [randn(shape), randn(shape), randn(shape)];
  const [queries, keys, values] = [await q.data(), await k.data(), await v.data()];
  const expected = new Float64Array(heads * tokens * 64);
  for (let row = 0; row < heads * tokens; row++) {
    const first = row - (row % tokens); // the head's first row
    const score = (j: number): number => {
      let sum = 0;
      for (let d = 0; d < 64; d++) sum += queries[row * 64 + d]! * keys[(first + j) * 64 + d]!;
      return sum / 8;
    };
    const scores = Array.from({ length: tokens }, (_, j) => score(j));
    const largest = Math.max(...scores);
    const weights = scores.map((s) => Math.exp(s - largest));
    const total = weights.reduce((sum, p) => sum + p);
    for (let j = 0; j < tokens; j++)
      for (let d = 0; d < 64; d++) expected[row * 64 + d]! += (weights[j]! / total) * values[(first + j) * 64 + d]!;
  }
  const output = { name: "y", shape, expected };
  return {
    op: "attention",
    inputs: { q, k, v },
    output,
    params: { tokens, scale: 1 / 8 },
    workgroups: [tokens / 64, heads],
  };
}

await init();
manualSeed(1);
const folder = new URL("kernel-steps/", import.meta.url);
for (const { op, inputs, output, params, workgroups } of [await matmul(512, 512, 512), await attention(12, 256)]) {
  const files = readdirSync(folder).filter((file) => file.startsWith(op)).sort(); // prettier-ignore
  for (const file of files) {
    const step = kernel(file, readFileSync(new URL(file, folder), "utf8"));
    const result = empty(output.shape);
    let least = Infinity;
    for (let round = 0; round < 4; round++) {
      const start = performance.now(); // the first round compiles
      run(step, { ...inputs, [output.name]: result }, params, { workgroups });
      await device().finish();
      least = Math.min(least, performance.now() - start);
    }
    const values = await result.data();
    const error = output.expected.reduce((worst, y, i) => Math.max(worst, Math.abs(values[i]! - y)), 0);
    console.log(`${file.padEnd(28)} ${least.toFixed(1).padStart(7)} ms   largest error ${error.toExponential(1)}`);
  }
}
