import {
  dropout,
  embedding,
  gelu,
  layerNorm,
  linear,
  linearGelu,
  mul,
  rand,
  randn,
  sub,
  type Tensor,
} from "@gpugrad/tensor";
import { Module, parameter, zeroRow } from "./module.ts";

/** A GELU that a linear layer may compute along; `isDone` says that it did. */
export interface Fusion {
  gelu: "none" | "tanh";
  isDone?: boolean;
}

/**
 * y = x · weightᵀ + bias, weight [out, in]. Both begin as in `torch.nn.Linear`: uniformly within ±1/√in.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.Linear.html
 */
export class Linear extends Module {
  readonly weight: Tensor; // [out, in]
  readonly bias: Tensor; // [out]

  constructor(inFeatures: number, outFeatures: number) {
    super();
    const uniform = (shape: number[]) => () => {
      const bound = 1 / Math.sqrt(inFeatures);
      return sub(mul(rand(shape), 2 * bound), bound);
    };
    this.weight = parameter([outFeatures, inFeatures], "normal", uniform([outFeatures, inFeatures]));
    this.bias = parameter([outFeatures], "zeros", uniform([outFeatures]));
  }

  /** @param fusion A GELU to apply to y in the same kernel. */
  forward(x: Tensor, fusion?: Fusion): Tensor {
    if (!fusion) return linear(x, this.weight, this.bias);
    fusion.isDone = true;
    return linearGelu(x, this.weight, this.bias, { approximate: fusion.gelu });
  }
}

/** gelu(dense(x)): in one kernel where `dense` does that, else one after the other. */
export function denseGelu(dense: Linear, x: Tensor, approximate: "none" | "tanh"): Tensor {
  const fusion: Fusion = { gelu: approximate };
  const y = dense.forward(x, fusion);
  return fusion.isDone ? y : gelu(y, { approximate });
}

/** Layer norm over the last dimension: see `layerNorm`. Begins with weights of 1 and biases of 0. */
export class LayerNorm extends Module {
  readonly weight: Tensor; // [size]
  readonly bias: Tensor; // [size]
  readonly #eps: number;

  constructor(size: number, eps = 1e-5) {
    super();
    this.weight = parameter([size], "ones");
    this.bias = parameter([size], "zeros");
    this.#eps = eps;
  }

  get eps(): number {
    return this.#eps;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias, { eps: this.#eps });
  }
}

/** A table of vectors, one for each id. Begins as in `torch.nn.Embedding`: N(0, 1), and 0 for padding. */
export class Embedding extends Module {
  readonly weight: Tensor; // [count, size]
  /** The id whose vector gets no gradient. */
  readonly paddingIdx: number | undefined;

  constructor(count: number, size: number, paddingIdx?: number) {
    super();
    this.weight = parameter([count, size], "normal", () => {
      const value = randn([count, size]);
      if (paddingIdx !== undefined) zeroRow(value, paddingIdx);
      return value;
    });
    this.paddingIdx = paddingIdx;
  }

  /** @param ids i32 [...] @returns [..., size] */
  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids, { paddingIdx: this.paddingIdx ?? null });
  }
}

/** Whether modules compute by the `forward` of these classes, so that one kernel may do the work of several of them. */
export const areOwn = (
  ...modules: (readonly [module: object, itsClass: { prototype: { forward: unknown } }])[]
): boolean =>
  modules.every(([module, { prototype }]) => (module as { forward: unknown }).forward === prototype.forward);

/** Drops each element with probability p while training, and scales the others by 1 / (1 − p). */
export class Dropout extends Module {
  readonly p: number;

  constructor(p: number) {
    super();
    this.p = p;
  }

  /** The probability in force now: 0 outside of training. */
  get activeP(): number {
    return this.training ? this.p : 0;
  }

  forward(x: Tensor): Tensor {
    return this.activeP > 0 ? dropout(x, { p: this.p }) : x;
  }
}
