import {
  avgPool2d,
  batchNorm,
  check,
  conv1d,
  conv2d,
  convTranspose2d,
  groupNorm,
  maxPool2d,
  type AvgPoolOptions,
  type ConvOptions,
  type ConvTransposeOptions,
  type MaxPoolOptions,
  type PerDim,
  type Tensor,
} from "@gpugrad/tensor";
import { kaimingUniform, uniform } from "../initializers.ts";
import { Module } from "../module.ts";
import { parameter } from "../parameter.ts";
import { checkEps, checkFlags, checkSizes } from "./checks.ts";

/** A window's sizes. */
const sizesOf = (kernelSize: PerDim, dims: 1 | 2): number[] =>
  typeof kernelSize === "number" ? new Array<number>(dims).fill(kernelSize) : [...kernelSize];

/** PyTorch's beginning of a convolution: uniformly within ±1/√(inputs of an output). */
function begun(shape: number[], outputs: number, bias: boolean): { weight: Tensor; bias: Tensor | undefined } {
  const bound = 1 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b, 1));
  return {
    weight: parameter(shape, (w) => kaimingUniform(w, { a: Math.sqrt(5) })),
    bias: bias ? parameter([outputs], (b) => uniform(b, { low: -bound, high: bound })) : undefined,
  };
}

/** Options of the layers that convolve. */
export interface ConvLayerOptions extends ConvOptions {
  bias?: boolean;
}

abstract class Conv extends Module {
  readonly weight: Tensor; // [out, in / groups, ...kernelSize]
  readonly bias: Tensor | undefined; // [out]
  protected readonly options: ConvOptions;

  constructor(dims: 1 | 2, inChannels: number, outChannels: number, kernelSize: PerDim, given: ConvLayerOptions) {
    super();
    const { bias = true, ...options } = given;
    const { groups = 1 } = options;
    checkSizes(new.target.name, { inChannels, outChannels, groups });
    checkFlags(new.target.name, { bias });
    check(
      inChannels % groups === 0 && outChannels % groups === 0,
      () => `${new.target.name}: ${inChannels} and ${outChannels} channels don't make ${groups} groups.`,
    );
    const shape = [outChannels, inChannels / groups, ...sizesOf(kernelSize, dims)];
    ({ weight: this.weight, bias: this.bias } = begun(shape, outChannels, bias));
    this.options = options;
  }
}

/** A convolution of [N, C, H, W]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.Conv2d.html */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, options: ConvLayerOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => conv2d(x, this.weight, this.bias, this.options);
}

/** A convolution of [N, C, L]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.Conv1d.html */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, options: ConvLayerOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => conv1d(x, this.weight, this.bias, this.options);
}

/** The transpose of a convolution. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.ConvTranspose2d.html */
export class ConvTranspose2d extends Module {
  readonly weight: Tensor; // [in, out / groups, kH, kW]
  readonly bias: Tensor | undefined; // [out]
  readonly #options: ConvTransposeOptions;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: PerDim,
    { bias = true, ...options }: ConvTransposeOptions & { bias?: boolean } = {},
  ) {
    super();
    const { groups = 1 } = options;
    checkSizes("ConvTranspose2d", { inChannels, outChannels, groups });
    checkFlags("ConvTranspose2d", { bias });
    const shape = [inChannels, outChannels / groups, ...sizesOf(kernelSize, 2)];
    ({ weight: this.weight, bias: this.bias } = begun(shape, outChannels, bias));
    this.#options = options;
  }
  forward = (x: Tensor): Tensor => convTranspose2d(x, this.weight, this.bias, this.#options);
}

/** The largest element of each window. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.MaxPool2d.html */
export class MaxPool2d extends Module {
  readonly #kernelSize: PerDim;
  readonly #options: MaxPoolOptions;
  constructor(kernelSize: PerDim, options: MaxPoolOptions = {}) {
    super();
    this.#kernelSize = kernelSize;
    this.#options = options;
  }
  forward = (x: Tensor): Tensor => maxPool2d(x, this.#kernelSize, this.#options);
}

/** The mean of each window. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.AvgPool2d.html */
export class AvgPool2d extends Module {
  readonly #kernelSize: PerDim;
  readonly #options: AvgPoolOptions;
  constructor(kernelSize: PerDim, options: AvgPoolOptions = {}) {
    super();
    this.#kernelSize = kernelSize;
    this.#options = options;
  }
  forward = (x: Tensor): Tensor => avgPool2d(x, this.#kernelSize, this.#options);
}

/** Per channel over groups of channels. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.GroupNorm.html */
export class GroupNorm extends Module {
  readonly weight: Tensor | undefined; // [C]
  readonly bias: Tensor | undefined; // [C]
  readonly #groups: number;
  readonly #eps: number;

  constructor(numGroups: number, numChannels: number, { eps = 1e-5, affine = true } = {}) {
    super();
    checkSizes("GroupNorm", { numGroups, numChannels });
    checkEps("GroupNorm", eps);
    checkFlags("GroupNorm", { affine });
    this.weight = affine ? parameter([numChannels], "ones") : undefined;
    this.bias = affine ? parameter([numChannels], "zeros") : undefined;
    this.#groups = numGroups;
    this.#eps = eps;
  }
  forward = (x: Tensor): Tensor => groupNorm(x, this.#groups, this.weight, this.bias, { eps: this.#eps });
}

/** How a batch norm is made. */
export interface BatchNormLayerOptions {
  eps?: number;
  /** The share of a batch's values in the running ones (0.1); null: their plain mean over all batches. */
  momentum?: number | null;
  affine?: boolean;
  /** Whether running values are kept, and used for evaluation (true). */
  trackRunningStats?: boolean;
}

abstract class BatchNorm extends Module {
  readonly weight: Tensor | undefined; // [C]
  readonly bias: Tensor | undefined; // [C]
  readonly running_mean: Tensor | undefined; // [C], in checkpoints but not trained
  readonly running_var: Tensor | undefined; // [C], likewise
  readonly #eps: number;
  readonly #momentum: number | null;
  #batches = 0;

  constructor(
    numFeatures: number,
    { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true }: BatchNormLayerOptions = {},
  ) {
    super();
    checkSizes(new.target.name, { numFeatures });
    checkEps(new.target.name, eps);
    checkFlags(new.target.name, { affine, trackRunningStats });
    const untrained = (begin: "zeros" | "ones"): Tensor => {
      const values = parameter([numFeatures], begin);
      values.requiresGrad = false;
      return values;
    };
    this.weight = affine ? parameter([numFeatures], "ones") : undefined;
    this.bias = affine ? parameter([numFeatures], "zeros") : undefined;
    this.running_mean = trackRunningStats ? untrained("zeros") : undefined;
    this.running_var = trackRunningStats ? untrained("ones") : undefined;
    this.#eps = eps;
    this.#momentum = momentum;
  }

  /** In training by the values of the batch, else by the running ones. */
  forward(x: Tensor): Tensor {
    const training = this.training || !this.running_mean;
    if (this.training) this.#batches++;
    const momentum = this.#momentum ?? 1 / this.#batches;
    const options = { training, eps: this.#eps, ...(this.training && { momentum }) };
    return batchNorm(x, this.running_mean, this.running_var, this.weight, this.bias, options);
  }
}

/** Per channel of [N, C, H, W]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.BatchNorm2d.html */
export class BatchNorm2d extends BatchNorm {}

/** Per channel of [N, C] or [N, C, L]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.BatchNorm1d.html */
export class BatchNorm1d extends BatchNorm {}
