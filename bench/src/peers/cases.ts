import { attentionReference } from "../../../packages/tensor/src/ops/attention/attention.reference.ts";
import { convReference } from "../../../packages/tensor/src/ops/conv/conv.reference.ts";
import { linearGeluReference, linearReference } from "../../../packages/tensor/src/ops/matmul/linear.reference.ts";
import { matmulReference } from "../../../packages/tensor/src/ops/matmul/matmul.reference.ts";
import { addLayerNormReference, layerNormReference } from "../../../packages/tensor/src/ops/norm/norm.reference.ts";
import { softmaxReference } from "../../../packages/tensor/src/ops/softmax/softmax.reference.ts";
import { expectClose, uniform } from "../../../packages/tensor/src/testing/bench-op.ts";
import { ndArray, type NdArray } from "../../../packages/tensor/src/testing/nd-array.ts";

/** What a library is asked to compute. */
export type Kind =
  "matmul" | "softmax" | "layernorm" | "gelu" | "attention" | "conv2d" | "einsum" | "encoder" | "encoderBackward";

export interface Input {
  data: Float32Array;
  shape: number[];
}
export type Inputs = Record<string, Input>;

/** Results by name: `y`; for the backward of an encoder the gradient of each input but `w`. */
export type Outputs = Record<string, ArrayLike<number>>;

export interface PeerCase {
  name: string;
  kind: Kind;
  inputs: () => Inputs;
  /** Compares with float64. @throws when something is wrong */
  check: (outputs: Outputs, inputs: Inputs) => void;
}

const random = (shape: number[], seed: number, scale = 1): Input => ({
  data: uniform(
    shape.reduce((a, b) => a * b),
    seed,
    scale,
  ),
  shape,
});

/** The first `count` of an input's slices along its first dimension, in float64. */
const first = ({ data, shape: [n = 1, ...rest] }: Input, count: number): NdArray =>
  ndArray([count, ...rest], data.subarray(0, (data.length / n) * count));

const all = ({ data, shape }: Input): NdArray => ndArray(shape, data);

/** Compares the beginning of y; every part of a result is made alike, and the whole would take long in float64. */
function expectBegins({ y }: Outputs, want: NdArray): void {
  expectClose(
    Array.from({ length: want.data.length }, (_, i) => y![i]!),
    want.data,
  );
}

const matmul = (n: number): PeerCase => ({
  name: `matmul${n}`,
  kind: "matmul",
  inputs: () => ({ a: random([n, n], 1), b: random([n, n], 2) }),
  check: (outputs, { a, b }) => expectBegins(outputs, matmulReference(first(a!, 8), all(b!))),
});

const softmax = (...shape: number[]): PeerCase => ({
  name: `softmax${shape.join("x")}`,
  kind: "softmax",
  inputs: () => ({ x: random(shape, 3, 4) }),
  check: (outputs, { x }) => expectBegins(outputs, softmaxReference(first(x!, Math.min(40, shape[0]!)))),
});

const layerNorm: PeerCase = {
  name: "layernorm4096x768",
  kind: "layernorm",
  inputs: () => ({ x: random([4096, 768], 4), weight: random([768], 5), bias: random([768], 6) }),
  check: (outputs, { x, weight, bias }) =>
    expectBegins(outputs, layerNormReference(first(x!, 40), all(weight!), all(bias!))),
};

const gelu: PeerCase = {
  name: "gelu4096x3072",
  kind: "gelu",
  inputs: () => ({ x: random([4096, 3072], 7, 3) }),
  check: (outputs, { x }) => expectBegins(outputs, geluOf(first(x!, 4))),
};

/** GELU, as linear · identity + gelu would give it. */
function geluOf(x: NdArray): NdArray {
  const column = ndArray([x.data.length, 1], x.data);
  return ndArray(x.shape, linearGeluReference(column, ndArray([1, 1], [1]), ndArray([1], [0])).data);
}

const attention = (B: number, H: number, T: number, D: number): PeerCase => ({
  name: `attention${[B, H, T, D].join("x")}`,
  kind: "attention",
  inputs: () => ({ q: random([B, H, T, D], 8), k: random([B, H, T, D], 9), v: random([B, H, T, D], 10) }),
  check: (outputs, { q, k, v }) =>
    expectBegins(outputs, attentionReference(first(q!, 1), first(k!, 1), first(v!, 1), undefined)),
});

/** 3 × 3, padded so that images keep their size: x [N, C, H, W], weight [out, C, 3, 3]. */
const conv2d = (N: number, C: number, size: number): PeerCase => ({
  name: `conv2d${[N, C, size, size].join("x")}`,
  kind: "conv2d",
  inputs: () => ({ x: random([N, C, size, size], 11), weight: random([C, C, 3, 3], 12, 1 / Math.sqrt(9 * C)) }),
  check: (outputs, { x, weight }) => {
    const channels = first(weight!, 4);
    expectBegins(outputs, convReference(first(x!, 1), channels, ndArray([4], [0, 0, 0, 0]), { padding: [1, 1] }));
  },
});

/** The equation of the einsum: sums over two letters, one of them between others, and a result in another order. */
export const EQUATION = "bihd,bjhd->hbij";
const einsum = (B: number, T: number, H: number, D: number): PeerCase => ({
  name: `einsum${[B, T, H, D].join("x")}`,
  kind: "einsum",
  inputs: () => ({ a: random([B, T, H, D], 13), b: random([B, T, H, D], 14) }),
  // The first head of the first item.
  check: (outputs, { a, b }) => {
    const head = ({ data }: Input): NdArray =>
      ndArray(
        [T, D],
        Float64Array.from({ length: T * D }, (_, i) => data[Math.floor(i / D) * H * D + (i % D)]!),
      );
    expectBegins(outputs, matmulReference(head(a!), head(b!), { transposeB: true }));
  },
});

/** The layer of BERT's encoder that `encoder_fwd` of the bench has: post-norm, no dropout, eps 1e-5. Weights are [in, out]: x · W. */
export const ENCODER = { B: 8, T: 128, C: 256, H: 4, F: 1024 } as const;
const { B, T, C, H, F } = ENCODER;

/** Shapes of the parameters; bk is shifted away by softmax, and has no gradient but rounding. */
export const PARAMETERS = {
  ...{ wq: [C, C], bq: [C], wk: [C, C], bk: [C], wv: [C, C], bv: [C], wo: [C, C], bo: [C], g1: [C], b1: [C] },
  ...{ w1: [C, F], c1: [F], w2: [F, C], c2: [C], g2: [C], b2: [C] },
} as const;

/** With a loss Σ y · w that sees the first item of the batch only: the reference computes no other. */
function encoderInputs(): Inputs {
  const w = random([B, T, C], 99);
  w.data.fill(0, T * C);
  const parameters = Object.entries(PARAMETERS).map(([name, shape], i): [string, Input] => {
    const made = random([...shape], 100 + i, shape.length > 1 ? Math.sqrt(3 / shape[0]!) : 0.1);
    return [name, name.startsWith("g") ? { ...made, data: made.data.map((v) => 1 + v) } : made];
  });
  return { x: random([B, T, C], 98), w, ...Object.fromEntries(parameters) };
}

type Values = Record<string, NdArray>;

/** The encoder layer in float64, of the first item. */
function encoderReference(p: Values): NdArray {
  const linear = (x: NdArray, w: string, b: string): NdArray => linearReference(x, transposed(p[w]!), p[b]);
  const heads = (x: NdArray): NdArray => ndArray([1, T, H, C / H], x.data);
  const [q, k, v] = [linear(p.x!, "wq", "bq"), linear(p.x!, "wk", "bk"), linear(p.x!, "wv", "bv")].map(heads);
  const context = ndArray([1, T, C], attentionReference(q!, k!, v!, undefined, { layout: "BTHD" }).data);
  const h = addLayerNormReference(linear(context, "wo", "bo"), p.x!, p.g1!, p.b1!);
  const inner = linearGeluReference(h, transposed(p.w1!), p.c1);
  return addLayerNormReference(linear(inner, "w2", "c2"), h, p.g2!, p.b2!);
}

function transposed({ shape: [n = 0, m = 0], data }: NdArray): NdArray {
  return ndArray(
    [m, n],
    Float64Array.from({ length: n * m }, (_, i) => data[(i % n) * m + Math.floor(i / n)]!),
  );
}

const firstItem = ({ w: _, ...inputs }: Inputs): Values =>
  Object.fromEntries(Object.entries(inputs).map(([name, v]) => [name, name === "x" ? first(v, 1) : all(v)]));

const encoder: PeerCase = {
  name: "encoder_fwd",
  kind: "encoder",
  inputs: encoderInputs,
  check: (outputs, inputs) => expectBegins(outputs, encoderReference(firstItem(inputs))),
};

const encoderBackward: PeerCase = {
  name: "encoder_fwdbwd",
  kind: "encoderBackward",
  inputs: encoderInputs,
  // The derivative along a direction that weighs each tensor alike, from the gradients and by a central difference in float64.
  check(gradients, inputs) {
    const at = firstItem(inputs);
    let got = 0;
    const direction = Object.entries(at).map(([name, { data }], i): [string, Float64Array] => {
      if (!gradients[name]) throw new Error(`there is no gradient of ${name}`);
      const gradient = Array.from({ length: data.length }, (_, j) => gradients[name]![j]!);
      const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
      const along = Float64Array.from(uniform(data.length, 300 + i), (v) => (name === "bk" ? 0 : v / norm));
      got += gradient.reduce((sum, g, j) => sum + g * along[j]!, 0);
      return [name, along];
    });
    const loss = (h: number): number => {
      const moved = direction.map(([name, along]): [string, NdArray] => {
        const { shape, data } = at[name]!;
        return [name, ndArray(shape, data.map((v, j) => v + h * along[j]!))]; // prettier-ignore
      });
      const y = encoderReference(Object.fromEntries(moved));
      return y.data.reduce((sum, v, j) => sum + v * inputs["w"]!.data[j]!, 0);
    };
    const h = 1e-4;
    expectClose([got], [(loss(h) - loss(-h)) / (2 * h)], { atol: 1e-3, rtol: 1e-3 });
  },
};

export const peerCases: PeerCase[] = [
  ...[matmul(512), matmul(1024), softmax(4096, 256), softmax(48, 256, 256), layerNorm, gelu],
  ...[attention(4, 12, 128, 64), conv2d(8, 64, 32), einsum(8, 128, 4, 64), encoder, encoderBackward],
];
