import { destroy, fromArray, init, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { attend, attendWithProbabilities } from "./attend.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const [B, T, H, D] = [2, 5, 3, 4];
const wave = (n: number, step: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(1 + i * step));
const [q, k, v] = [0.7, 1.1, 1.7].map((step) => wave(B * T * H * D, step)) as [number[], number[], number[]];
const bias = wave(H * T * T, 0.37).map((x) => 3 * x);
const mask = [true, true, true, false, true, false, false, false, false, false]; // the second text has no key to attend to
const scale = 0.4;

/** In plain loops, in float64: masked scores are float32's lowest, whatever was added to them. */
function reference(): { y: number[]; probabilities: number[] } {
  const at = (b: number, t: number, h: number, d: number): number => ((b * T + t) * H + h) * D + d;
  const y = new Array<number>(B * T * H * D).fill(0);
  const probabilities: number[] = [];
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let i = 0; i < T; i++) {
        const scores = Array.from({ length: T }, (_, j) => {
          if (!mask[b * T + j]) return -3.4028234663852886e38;
          let product = 0;
          for (let d = 0; d < D; d++) product += q[at(b, i, h, d)]! * k[at(b, j, h, d)]!;
          return product * scale + bias[(h * T + i) * T + j]!;
        });
        const most = Math.max(...scores);
        const exps = scores.map((s) => Math.exp(s - most));
        const sum = exps.reduce((a, e) => a + e, 0);
        for (let j = 0; j < T; j++) {
          probabilities.push(exps[j]! / sum);
          for (let d = 0; d < D; d++) y[at(b, i, h, d)]! += (exps[j]! / sum) * v[at(b, j, h, d)]!;
        }
      }
    }
  }
  return { y, probabilities };
}

async function expectClose(got: Tensor, want: readonly number[]): Promise<void> {
  const values = await got.data();
  const wrong = want.findIndex((w, i) => !(Math.abs(values[i]! - w) <= 2e-6 + 1e-5 * Math.abs(w)));
  if (wrong >= 0) expect.fail(`element ${wrong} is ${values[wrong]}, not ${want[wrong]}`);
}

test("a bias is added to the scaled scores, and a query without keys attends to all of them alike", async () => {
  const want = reference();
  const [fused, plain] = scope(() => {
    const [Q, K, V] = [q, k, v].map((x) => fromArray(x, [B, T, H * D])) as [Tensor, Tensor, Tensor];
    const how = { heads: H, scale, bias: fromArray(bias, [1, H, T, T]), mask: fromArray(mask, [B, 1, 1, T], "bool") };
    return [attend(Q, K, V, how), attendWithProbabilities(Q, K, V, how)] as const;
  });
  await expectClose(fused, want.y);
  await expectClose(plain.y, want.y);
  await expectClose(plain.probabilities, want.probabilities);
});
