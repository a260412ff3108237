import * as g from "@gpugrad/tensor";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import "./index.ts";

// Where a NaN in an input comes out, forward and backward: the patterns of PyTorch 2.15 (N is NaN), computed with the inputs below. An
// op's line has a part for each input with its first element NaN, then its last: the result, then the gradients of its inputs for dy = 1.
// prettier-ignore
const patterns: Record<string, string> = {
  neg: "N..... ...... | .....N ......",
  abs: "N..... ...... | .....N ......",
  square: "N..... N..... | .....N .....N",
  reciprocal: "N..... N..... | .....N .....N",
  sqrt: "N..... N..... | .....N .....N",
  rsqrt: "N..... N..... | .....N .....N",
  exp: "N..... N..... | .....N .....N",
  log: "N..... N..... | .....N .....N",
  sin: "N..... N..... | .....N .....N",
  cos: "N..... N..... | .....N .....N",
  tanh: "N..... N..... | .....N .....N",
  sigmoid: "N..... N..... | .....N .....N",
  relu: "N..... ...... | .....N ......",
  gelu: "N..... N..... | .....N .....N",
  "gelu tanh": "N..... N..... | .....N .....N",
  erf: "N..... N..... | .....N .....N",
  silu: "N..... N..... | .....N .....N",
  floor: "N..... ...... | .....N ......",
  ceil: "N..... ...... | .....N ......",
  round: "N..... ...... | .....N ......",
  clamp: "N..... ...... | .....N ......",
  add: "N..... ...... ... | .....N ...... ... | N..N.. ...... ... | ..N..N ...... ...",
  sub: "N..... ...... ... | .....N ...... ... | N..N.. ...... ... | ..N..N ...... ...",
  mul: "N..... ...... N.. | .....N ...... ..N | N..N.. N..N.. ... | ..N..N ..N..N ...",
  div: "N..... ...... N.. | .....N ...... ..N | N..N.. N..N.. N.. | ..N..N ..N..N ..N",
  pow: "N..... N..... N.. | .....N .....N ..N | N..N.. N..N.. N.. | ..N..N ..N..N ..N",
  maximum: "N..... ...... ... | .....N ...... ... | N..N.. ...... ... | ..N..N ...... ...",
  minimum: "N..... ...... ... | .....N ...... ... | N..N.. ...... ... | ..N..N ...... ...",
  sum: "N. ...... | .N ......",
  mean: "N. ...... | .N ......",
  prod: "N. NNN... | .N ...NNN",
  amax: "N. NNN... | .N ...NNN",
  amin: "N. NNN... | .N ...NNN",
  max: "N. ...... | .N ......",
  min: "N. ...... | .N ......",
  var: "N. NNN... | .N ...NNN",
  logsumexp: "N. NNN... | .N ...NNN",
  cumsum: "NNN... ...... | .....N ......",
  softmax: "NNN... NNN... | ...NNN ...NNN",
  logSoftmax: "NNN... NNN... | ...NNN ...NNN",
  "softmax dim 0": "N..N.. N..N.. | ..N..N ..N..N",
  layerNorm: "NNN... NNN... NNN ... | ...NNN ...NNN NNN ... | N..N.. NNNNNN ... ... | ..N..N NNNNNN ... ... | N..N.. ...... ... ... | ..N..N ...... ... ...",
  rmsNorm: "NNN... NNN... NNN | ...NNN ...NNN NNN | N..N.. NNNNNN ... | ..N..N NNNNNN ...",
  matmul: "NN.. ...... NN.... | ..NN ...... ....NN | N.N. N..N.. ...... | .N.N ..N..N ......",
  linear: "NN.. ...... N..N.. .. | ..NN ...... ..N..N .. | N.N. N..N.. ...... .. | .N.N ..N..N ...... .. | N.N. ...... ...... .. | .N.N ...... ...... ..",
  linearGelu: "NN.. NNN... NNNNNN NN | ..NN ...NNN NNNNNN NN | N.N. NNNNNN NNN... N. | .N.N NNNNNN ...NNN .N | N.N. NNNNNN NNN... N. | .N.N NNNNNN ...NNN .N",
  "linearGelu tanh": "NN.. NNN... NNNNNN NN | ..NN ...NNN NNNNNN NN | N.N. NNNNNN NNN... N. | .N.N NNNNNN ...NNN .N | N.N. NNNNNN NNN... N. | .N.N NNNNNN ...NNN .N",
  where: "N..... ...... ...... | .....N ...... ...... | ...... ...... ...... | ...... ...... ......",
  transpose: "N..... ...... | .....N ......",
  slice: ".... ...... | ...N ......",
  tril: "N..... ...... | ...... ......",
  gather: "N... ...... | ..N. ......",
  embedding: "...N..... ...... | ..N.....N ......",
  crossEntropy: "N NNN... | N ...NNN",
  "crossEntropy smoothing": "N NNN... | N ...NNN",
  binaryCrossEntropyWithLogits: "N N..... | N .....N",
  mseLoss: "N N..... | N .....N",
  l1Loss: "N ...... | N ......",
  smoothL1Loss: "N N..... | N .....N",
  cosineSimilarity: "N. NNN... NNN... | .N ...NNN ...NNN | N. NNN... NNN... | .N ...NNN ...NNN",
  cosineEmbeddingLoss: "N NNN... NNN... | N ...NNN ...NNN | N NNN... NNN... | N ...NNN ...NNN",
  "dropout p 1": "N..... ...... | .....N ......",
};

type Op = [shapes: number[][], op: (...x: [g.Tensor, g.Tensor, g.Tensor]) => g.Tensor];

const x = [2, 3];
const row = [3];
const t = (values: number[]) => g.fromArray(values, [values.length]);
const ids = (values: number[], shape = [values.length]) => g.fromArray(values, shape, "i32");
const target = () => g.full(x, 0.3);

const ops: Record<string, Op> = {
  ...Object.fromEntries(
    (["neg", "abs", "square", "reciprocal", "sqrt", "rsqrt", "exp", "log", "sin", "cos", "tanh", "sigmoid", "relu", "gelu", "erf", "silu"] as const) // prettier-ignore
      .map((name): [string, Op] => [name, [[x], (a) => g[name](a)]]),
  ),
  ...Object.fromEntries(
    (["floor", "ceil", "round"] as const).map((name): [string, Op] => [name, [[x], (a) => g[name](a)]]),
  ),
  ...Object.fromEntries(
    (["add", "sub", "mul", "div", "pow", "maximum", "minimum"] as const) // prettier-ignore
      .map((name): [string, Op] => [name, [[x, row], (a, b) => g[name](a, b)]]),
  ),
  ...Object.fromEntries(
    (["sum", "mean", "prod", "amax", "amin", "logsumexp"] as const).map((name): [string, Op] => [
      name,
      [[x], (a) => g[name](a, { dim: 1 })],
    ]),
  ),
  "gelu tanh": [[x], (a) => g.gelu(a, { approximate: "tanh" })],
  clamp: [[x], (a) => g.clamp(a, { min: 0.4, max: 0.9 })],
  max: [[x], (a) => g.max(a, { dim: 1 }).values],
  min: [[x], (a) => g.min(a, { dim: 1 }).values],
  var: [[x], (a) => g.variance(a, { dim: 1 })],
  cumsum: [[x], (a) => g.cumsum(a, { dim: 1 })],
  softmax: [[x], (a) => g.softmax(a)],
  logSoftmax: [[x], (a) => g.logSoftmax(a)],
  "softmax dim 0": [[x], (a) => g.softmax(a, { dim: 0 })],
  layerNorm: [[x, row, row], (a, w, b) => g.layerNorm(a, w, b)],
  rmsNorm: [[x, row], (a, w) => g.rmsNorm(a, w)],
  matmul: [[x, [3, 2]], (a, b) => g.matmul(a, b)],
  linear: [[x, x, [2]], (a, w, b) => g.linear(a, w, b)],
  linearGelu: [[x, x, [2]], (a, w, b) => g.linearGelu(a, w, b)],
  "linearGelu tanh": [[x, x, [2]], (a, w, b) => g.linearGelu(a, w, b, { approximate: "tanh" })],
  where: [[x, x], (a, b) => g.where(g.fromArray([1, 0, 1], row, "bool"), a, b)],
  transpose: [[x], (a) => g.transpose(a, 0, 1)],
  slice: [[x], (a) => g.slice(a, [[], [1, 3]])],
  tril: [[x], (a) => g.tril(a)],
  gather: [[x], (a) => g.gather(a, 1, ids([0, 1, 2, 1], [2, 2]))],
  embedding: [[x], (w) => g.embedding(w, ids([1, 0, 1]))],
  crossEntropy: [[x], (a) => g.crossEntropy(a, ids([0, 2]))],
  "crossEntropy smoothing": [[x], (a) => g.crossEntropy(a, ids([0, 2]), { labelSmoothing: 0.1 })],
  binaryCrossEntropyWithLogits: [[x], (a) => g.bceWithLogits(a, target())],
  mseLoss: [[x], (a) => g.mseLoss(a, target())],
  l1Loss: [[x], (a) => g.l1Loss(a, target())],
  smoothL1Loss: [[x], (a) => g.smoothL1Loss(a, target())],
  cosineSimilarity: [[x, x], (a, b) => g.cosineSimilarity(a, b)],
  cosineEmbeddingLoss: [[x, x], (a, b) => g.cosineEmbeddingLoss(a, b, t([1, -1]))],
  "dropout p 1": [[x], (a) => g.dropout(a, { p: 1 })],
};

const pattern = async (x: g.Tensor): Promise<string> =>
  Array.from(await x.data(), (v) => (Number.isNaN(v) ? "N" : ".")).join("");

/** The patterns of one op, as in the table. */
async function patternsOf([shapes, op]: Op): Promise<string> {
  const parts: string[] = [];
  for (const [bad, shape] of shapes.entries()) {
    for (const at of [0, g.sizeOf(shape) - 1]) {
      const inputs = shapes.map((s, k) => {
        const values = Array.from({ length: g.sizeOf(s) }, (_, i) => (((i * 7 + k * 3) % 11) + 1) / 8);
        if (k === bad) values[at] = NaN;
        return Object.assign(g.fromArray(values, s), { requiresGrad: true });
      });
      const y = op(...(inputs as [g.Tensor, g.Tensor, g.Tensor]));
      g.sum(y).backward();
      parts.push((await Promise.all([y, ...inputs.map((x) => x.grad ?? g.zeros(x.shape))].map(pattern))).join(" "));
    }
  }
  return parts.join(" | ");
}

describe.each([true, false])("NaN comes out where it does in PyTorch, kernels for CPUs: %s", (cpu) => {
  beforeAll(async () => void (await g.init()));
  beforeEach(() => void Object.assign(g.device().adapter, { cpu }));
  afterAll(g.destroy);

  test("all ops are in the table", () => expect(Object.keys(ops).sort()).toEqual(Object.keys(patterns).sort()));
  test.each(Object.entries(ops))("%s", async (name, op) => {
    expect(await patternsOf(op)).toBe(patterns[name]);
  });
});
