import { dropout, layerNorm, linear, type Tensor } from "@gpugrad/tensor";
import { Module, parameter } from "./module.ts";

/** y = x · weightᵀ + bias, weight [out, in] as in `torch.nn.Linear`. */
export class Linear extends Module {
  readonly weight: Tensor; // [out, in]
  readonly bias: Tensor; // [out]

  constructor(inFeatures: number, outFeatures: number) {
    super();
    this.weight = parameter([outFeatures, inFeatures], "normal");
    this.bias = parameter([outFeatures], "zeros");
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

/** Layer norm over the last dimension: see `layerNorm`. */
export class LayerNorm extends Module {
  readonly weight: Tensor; // [size]
  readonly bias: Tensor; // [size]
  readonly #eps: number;

  constructor(size: number, eps: number) {
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

/** A table of vectors, one for each id. */
export class Embedding extends Module {
  readonly weight: Tensor; // [count, size]
  /** The id whose vector gets no gradient. */
  readonly paddingIdx: number | undefined;

  constructor(count: number, size: number, paddingIdx?: number) {
    super();
    this.weight = parameter([count, size], "normal");
    this.paddingIdx = paddingIdx;
  }
}

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
