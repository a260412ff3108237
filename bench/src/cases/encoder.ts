import "@gpugrad/autograd";
import {
  addLayerNorm,
  fromArray,
  linear,
  linearGelu,
  mul,
  reshape,
  scaledDotProductAttention,
  sizeOf,
  sum,
  type Shape,
  type Tensor,
} from "@gpugrad/tensor";
import { attentionReference } from "../../../packages/tensor/src/ops/attention/attention.reference.ts";
import { linearGeluReference, linearReference } from "../../../packages/tensor/src/ops/matmul/linear.reference.ts";
import { addLayerNormReference } from "../../../packages/tensor/src/ops/norm/norm.reference.ts";
import { ndArray, type NdArray } from "../../../packages/tensor/src/testing/nd-array.ts";
import { expectClose, uniform, type BenchCase } from "../../../packages/tensor/src/testing/bench-op.ts";

// One layer of BERT's encoder, without dropout: attention and feed-forward, each followed by + residual and layer norm.
const [B, T, C, H, F] = [8, 128, 256, 4, 1024];

const shapes = {
  x: [B, T, C],
  ...{ wq: [C, C], bq: [C], wk: [C, C], bk: [C], wv: [C, C], bv: [C], wo: [C, C], bo: [C], g1: [C], b1: [C] },
  ...{ w1: [F, C], c1: [F], w2: [C, F], c2: [C], g2: [C], b2: [C] },
} satisfies Record<string, Shape>;

type Name = keyof typeof shapes;
const names = Object.keys(shapes) as Name[];

/** What an encoder is made of: on the device, or in float64. */
interface Parts<X> {
  linear: (x: X, weight: X, bias: X) => X;
  linearGelu: (x: X, weight: X, bias: X) => X;
  /** q, k, v: [B, T, C], the heads side by side. */
  attention: (q: X, k: X, v: X) => X;
  addLayerNorm: (x: X, residual: X, weight: X, bias: X) => X;
}

function encoder<X>({ linear, linearGelu, attention, addLayerNorm }: Parts<X>, p: Record<Name, X>): X {
  const context = attention(linear(p.x, p.wq, p.bq), linear(p.x, p.wk, p.bk), linear(p.x, p.wv, p.bv));
  const h = addLayerNorm(linear(context, p.wo, p.bo), p.x, p.g1, p.b1);
  return addLayerNorm(linear(linearGelu(h, p.w1, p.c1), p.w2, p.c2), h, p.g2, p.b2);
}

const heads = (rows: number): number[] => [rows / T, T, H, C / H];

const onDevice: Parts<Tensor> = {
  linear,
  linearGelu,
  attention(q, k, v) {
    const [Q, K, V] = [q, k, v].map((t) => reshape(t, heads(B * T))) as [Tensor, Tensor, Tensor];
    return reshape(scaledDotProductAttention(Q, K, V, { layout: "BTHD" }), q.shape);
  },
  addLayerNorm: (x, residual, weight, bias) => addLayerNorm(x, residual, weight, bias),
};

const inFloat64: Parts<NdArray> = {
  linear: linearReference,
  linearGelu: linearGeluReference,
  attention(q, k, v) {
    const [Q, K, V] = [q, k, v].map((t) => ({ shape: heads(t.data.length / C), data: t.data })) as [
      NdArray,
      NdArray,
      NdArray,
    ];
    return { shape: q.shape, data: attentionReference(Q, K, V, undefined, { layout: "BTHD" }).data };
  },
  addLayerNorm: addLayerNormReference,
};

/** Random values: small weights, layer norm's factors near 1. */
const values = (): Record<Name, Float32Array> =>
  record((name, i) => {
    const shape = shapes[name];
    if (name === "x") return uniform(sizeOf(shape), 100);
    if (name === "g1" || name === "g2") return uniform(sizeOf(shape), 100 + i, 0.1).map((v) => 1 + v);
    return uniform(sizeOf(shape), 100 + i, shape.length > 1 ? Math.sqrt(3 / shape[1]!) : 0.1);
  });

function record<V>(value: (name: Name, index: number) => V): Record<Name, V> {
  return Object.fromEntries(names.map((name, i) => [name, value(name, i)])) as Record<Name, V>;
}

/** The first item of the batch in float64; what the others are doesn't matter to it. */
const firstItem = (host: Record<Name, Float32Array>): Record<Name, NdArray> =>
  record((name) => (name === "x" ? ndArray([1, T, C], host.x.subarray(0, T * C)) : ndArray(shapes[name], host[name])));

const FLOPS = 2 * B * T * (4 * C * C + 2 * C * F) + 4 * B * T * T * C;
const BYTES = 4 * (2 * B * T * C + names.reduce((total, name) => total + sizeOf(shapes[name]), 0) - B * T * C);

const forward: BenchCase = {
  name: "encoder_fwd",
  flops: FLOPS,
  bytes: BYTES,
  wall: true,
  prepare() {
    const host = values();
    const p = record((name) => fromArray(host[name], shapes[name]));
    return {
      run: () => encoder(onDevice, p),
      async verify(result) {
        const got = await (result as Tensor).data();
        expectClose(got.subarray(0, T * C), encoder(inFloat64, firstItem(host)).data, { atol: 1e-4 });
      },
    };
  },
};

const forwardBackward: BenchCase = {
  name: "encoder_fwdbwd",
  flops: 3 * FLOPS,
  bytes: 3 * BYTES,
  wall: true,
  prepare() {
    const host = values();
    const p = record((name) => {
      const made = fromArray(host[name], shapes[name]);
      made.requiresGrad = true;
      return made;
    });
    const weights = uniform(B * T * C, 99);
    const step = (w: Tensor): Tensor => {
      for (const name of names) {
        p[name].grad?.dispose();
        p[name].grad = null;
      }
      const loss = sum(mul(encoder(onDevice, p), w));
      loss.backward();
      return loss;
    };
    const w = fromArray(weights, [B, T, C]);
    return {
      run: () => step(w),
      // With a loss that sees only the first item, the derivative along a direction, from the gradients and by a central difference in
      // float64. The direction has as much to do with each tensor, so that no gradient can be wrong unnoticed.
      async verify() {
        const ofFirst = weights.map((v, i) => (i < T * C ? v : 0));
        step(fromArray(ofFirst, [B, T, C]));
        const at = firstItem(host);
        let got = 0;
        const direction = {} as Record<Name, Float64Array>;
        for (const [i, name] of names.entries()) {
          const size = at[name].data.length;
          const gradient = Float64Array.from(await p[name].grad!.data()).subarray(0, size);
          const norm = Math.sqrt(gradient.reduce((total, g) => total + g * g, 0));
          // bk has no gradient but rounding: softmax doesn't see a shift of all scores of a query.
          direction[name] = Float64Array.from(uniform(size, 300 + i), (v) => (name === "bk" ? 0 : v / norm));
          got += gradient.reduce((total, g, j) => total + g * direction[name][j]!, 0);
        }
        const loss = (h: number): number => {
          const moved = record((name) =>
            ndArray(
              at[name].shape,
              at[name].data.map((v, j) => v + h * direction[name][j]!),
            ),
          );
          return encoder(inFloat64, moved).data.reduce((total, y, j) => total + y * ofFirst[j]!, 0);
        };
        const h = 1e-4;
        expectClose([got], [(loss(h) - loss(-h)) / (2 * h)], { atol: 1e-3, rtol: 1e-3 });
      },
    };
  },
};

export const encoderCases: BenchCase[] = [forward, forwardBackward];
