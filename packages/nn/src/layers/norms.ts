import { add, addLayerNorm, argumentCheck, layerNorm, rmsNorm, type Tensor } from "@gpugrad/tensor";
import { ones, zeros } from "../initializers.ts";
import { Module } from "../module.ts";
import { parameter } from "../parameter.ts";
import { areOwn } from "./are-own.ts";
import { Dropout } from "./dropout.ts";

const normTakes = { size: "size", eps: "number from 0", elementwiseAffine: "boolean" } as const;
const checkLayerNorm = argumentCheck("LayerNorm", { ...normTakes, bias: "boolean" });
const checkRMSNorm = argumentCheck("RMSNorm", normTakes);

/**
 * (x − mean) / √(variance + eps) · weight + bias over the last dimension. Begins with weights of 1 and biases of 0.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.LayerNorm.html
 */
export class LayerNorm extends Module {
  readonly weight: Tensor | undefined; // [size]
  readonly bias: Tensor | undefined; // [size]
  readonly #size: number;
  readonly #eps: number;

  constructor(size: number, eps = 1e-5, elementwiseAffine = true, bias = true) {
    super();
    checkLayerNorm([size, eps, elementwiseAffine, bias]);
    this.weight = elementwiseAffine ? parameter([size], ones) : undefined;
    this.bias = elementwiseAffine && bias ? parameter([size], zeros) : undefined;
    this.#size = size;
    this.#eps = eps;
  }

  get eps(): number {
    return this.#eps;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias, { eps: this.#eps, normalizedShape: [this.#size] });
  }
}

/**
 * x / √(mean(x²) + eps) · weight over the last dimension. Begins with weights of 1; eps is float32's machine epsilon.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.RMSNorm.html
 */
export class RMSNorm extends Module {
  readonly weight: Tensor | undefined; // [size]
  readonly #size: number;
  readonly #eps: number;

  constructor(size: number, eps = 2 ** -23, elementwiseAffine = true) {
    super();
    checkRMSNorm([size, eps, elementwiseAffine]);
    this.weight = elementwiseAffine ? parameter([size], ones) : undefined;
    this.#size = size;
    this.#eps = eps;
  }

  get eps(): number {
    return this.#eps;
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, { eps: this.#eps, normalizedShape: [this.#size] });
  }
}

/**
 * norm(residual + dropout(x)), as both halves of a transformer's layer end: in one kernel, unless another module is in the place of
 * one of the two.
 */
export function addNorm(x: Tensor, residual: Tensor, norm: LayerNorm, dropout: Dropout): Tensor {
  const { weight, bias, eps } = norm;
  if (!areOwn([norm, LayerNorm], [dropout, Dropout]) || !weight || !bias)
    return norm.forward(add(dropout.forward(x), residual));
  return addLayerNorm(x, residual, weight, bias, { eps, dropoutP: dropout.activeP });
}
