import "@gpugrad/autograd";
import {
  addLayerNorm,
  conv2d,
  device,
  einsum,
  fromArray,
  gelu,
  init,
  layerNorm,
  linear,
  linearGelu,
  matmul,
  mul,
  reshape,
  scaledDotProductAttention,
  scope,
  softmax,
  sum,
  type Tensor,
} from "@gpugrad/tensor";
import { ENCODER, EQUATION, PARAMETERS, type Inputs } from "./cases.ts";
import type { Peer, Prepared } from "./peer.ts";

type Tensors = Record<string, Tensor>;

const { B, T, C, H } = ENCODER;

/** Linear layers take their weight as [out, in]. */
function upload(inputs: Inputs): Tensors {
  const entries = Object.entries(inputs).map(([name, { data, shape }]): [string, Tensor] => {
    const [n, m] = shape as [number, number];
    if (!/^w[qkvo12]$/.test(name)) return [name, fromArray(data, shape)];
    return [name, fromArray(Float32Array.from(data, (_, i) => data[(i % n) * m + Math.floor(i / n)]!), [m, n])]; // prettier-ignore
  });
  return Object.fromEntries(entries);
}

const simple =
  (op: (t: Tensors) => Tensor) =>
  (inputs: Inputs): Prepared => {
    const tensors = upload(inputs);
    return {
      async run() {
        scope(() => void op(tensors));
        await device().finish();
      },
      result: async () => ({ y: await op(tensors).data() }),
    };
  };

function encoder(p: Tensors): Tensor {
  const heads = (x: Tensor): Tensor => reshape(x, [B, T, H, C / H]);
  const [q, k, v] = [linear(p.x!, p.wq!, p.bq), linear(p.x!, p.wk!, p.bk), linear(p.x!, p.wv!, p.bv)].map(heads);
  const context = reshape(scaledDotProductAttention(q!, k!, v!, { layout: "BTHD" }), [B, T, C]);
  const h = addLayerNorm(linear(context, p.wo!, p.bo), p.x!, p.g1!, p.b1!);
  return addLayerNorm(linear(linearGelu(h, p.w1!, p.c1), p.w2!, p.c2), h, p.g2!, p.b2!);
}

function encoderBackward(inputs: Inputs): Prepared {
  const p = upload(inputs);
  const names = ["x", ...Object.keys(PARAMETERS)];
  for (const name of names) p[name]!.requiresGrad = true;
  const step = (): void => {
    for (const name of names) {
      p[name]!.grad?.dispose();
      p[name]!.grad = null;
    }
    scope(() => sum(mul(encoder(p), p.w!)).backward());
  };
  return {
    async run() {
      step();
      await device().finish();
    },
    async result() {
      step();
      const gradients = await Promise.all(names.map((name) => p[name]!.grad!.data()));
      return Object.fromEntries(
        names.map((name, i): [string, ArrayLike<number>] => {
          const [n = 0, m = 0] = inputs[name]!.shape;
          const gradient = gradients[i]!;
          if (!/^w[qkvo12]$/.test(name)) return [name, gradient];
          return [name, gradient.map((_, j) => gradient[(j % m) * n + Math.floor(j / m)]!)];
        }),
      );
    },
  };
}

export async function open(): Promise<Peer> {
  const { adapter } = await init();
  return {
    version: adapter.description,
    prepare: {
      matmul: simple(({ a, b }) => matmul(a!, b!)),
      softmax: simple(({ x }) => softmax(x!)),
      layernorm: simple(({ x, weight, bias }) => layerNorm(x!, weight, bias)),
      gelu: simple(({ x }) => gelu(x!)),
      attention: simple(({ q, k, v }) => scaledDotProductAttention(q!, k!, v!)),
      conv2d: simple(({ x, weight }) => conv2d(x!, weight!, undefined, { padding: 1 })),
      einsum: simple(({ a, b }) => einsum(EQUATION, [a!, b!])),
      encoder: simple(encoder),
      encoderBackward,
    },
  };
}
