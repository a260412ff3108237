import { argumentCheck, linear, linearGelu, type Tensor } from "@gpugrad/tensor";
import { kaimingUniform, uniform } from "../initializers.ts";
import { Module } from "../module.ts";
import { parameter } from "../parameter.ts";

/** A GELU that a linear layer may compute along; it says so in `isDone`, so that a layer which ignores it gets its GELU too. */
export interface Fusion {
  gelu: "none" | "tanh";
  isDone?: boolean;
}

const checkLinear = argumentCheck("Linear", {
  ...{ inFeatures: "size", outFeatures: "size", bias: "boolean?" },
  tied: { weight: "tensor?", bias: "tensor?" },
});

/**
 * y = x · weightᵀ + bias, weight [out, in]. Both begin uniformly within ±1/√in.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.Linear.html
 */
export class Linear<Bias extends boolean = true> extends Module {
  readonly weight: Tensor; // [out, in]
  readonly bias: Bias extends true ? Tensor : undefined; // [out]

  /** @param tied parameters of other modules to share, rather than to make */
  constructor(inFeatures: number, outFeatures: number, bias?: Bias, tied: { weight?: Tensor; bias?: Tensor } = {}) {
    super();
    checkLinear([inFeatures, outFeatures, bias, tied]);
    const hasBias: boolean = bias ?? true;
    const bound = 1 / Math.sqrt(inFeatures);
    const begin = (b: Tensor): void => uniform(b, { low: -bound, high: bound });
    this.weight = tied.weight ?? parameter([outFeatures, inFeatures], (w) => kaimingUniform(w, { a: Math.sqrt(5) }));
    this.bias = (hasBias ? (tied.bias ?? parameter([outFeatures], begin)) : undefined) as typeof this.bias;
  }

  /** @param fusion A GELU to apply to y in the same kernel. */
  forward(x: Tensor, fusion?: Fusion): Tensor {
    if (!fusion) return linear(x, this.weight, this.bias);
    fusion.isDone = true;
    return linearGelu(x, this.weight, this.bias, { approximate: fusion.gelu });
  }
}
