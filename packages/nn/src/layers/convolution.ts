import {
  add,
  argumentCheck,
  batchNorm,
  check,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  copyInto,
  groupNorm,
  instanceNorm,
  reciprocal,
  scope,
  showShape,
  type ConvOptions,
  type ConvTransposeOptions,
  type PerDim,
  type Tensor,
} from "@gpugrad/tensor";
import { kaimingUniform, uniform } from "../initializers.ts";
import { Module } from "../module.ts";
import { parameter } from "../parameter.ts";

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

const perDim = "number|numbers?";
const windowTakes = { stride: perDim, padding: perDim, dilation: perDim } as const;
const channelTakes = { inChannels: "size", outChannels: "size", kernelSize: "size|sizes" } as const;
const channelOptions = { ...windowTakes, groups: "size?", bias: "boolean?" } as const;

/** Throws unless channels come in whole groups, and a window has as many sizes as there are dimensions. */
function checkFit(owner: string, dims: 1 | 2, channels: readonly number[], groups: number, kernelSize: PerDim): void {
  check(
    channels.every((count) => count % groups === 0),
    () => `${owner}: ${channels.join(" and ")} channels don't make ${groups} groups.`,
  );
  check(
    typeof kernelSize === "number" || kernelSize.length === dims,
    () => `${owner}: kernelSize has ${(kernelSize as number[]).length} sizes; windows have ${dims}.`,
  );
}

/** Options of the layers that convolve. */
export interface ConvLayerOptions extends ConvOptions {
  bias?: boolean;
}

/** Options of the layers that convolve the other way. */
export interface ConvTransposeLayerOptions extends ConvTransposeOptions {
  bias?: boolean;
}

abstract class Conv extends Module {
  readonly weight: Tensor; // [out, in / groups, ...kernelSize]
  readonly bias: Tensor | undefined; // [out]
  protected readonly options: ConvOptions;

  constructor(dims: 1 | 2, inChannels: number, outChannels: number, kernelSize: PerDim, given: ConvLayerOptions) {
    super();
    const name = new.target.name;
    const takes = { ...channelTakes, options: { ...channelOptions, padding: "any?" } } as const;
    argumentCheck(name, takes)([inChannels, outChannels, kernelSize, given]);
    const { bias = true, ...options } = given;
    const { groups = 1 } = options;
    checkFit(name, dims, [inChannels, outChannels], groups, kernelSize);
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

abstract class ConvTranspose extends Module {
  readonly weight: Tensor; // [in, out / groups, ...kernelSize]
  readonly bias: Tensor | undefined; // [out]
  protected readonly options: ConvTransposeOptions;

  constructor(
    dims: 1 | 2,
    inChannels: number,
    outChannels: number,
    kernelSize: PerDim,
    given: ConvTransposeLayerOptions,
  ) {
    super();
    const name = new.target.name;
    const takes = { ...channelTakes, options: { ...channelOptions, outputPadding: perDim } } as const;
    argumentCheck(name, takes)([inChannels, outChannels, kernelSize, given]);
    const { bias = true, ...options } = given;
    const { groups = 1 } = options;
    checkFit(name, dims, [inChannels, outChannels], groups, kernelSize);
    const shape = [inChannels, outChannels / groups, ...sizesOf(kernelSize, dims)];
    ({ weight: this.weight, bias: this.bias } = begun(shape, outChannels, bias));
    this.options = options;
  }
}

/** The transpose of a convolution of [N, C, H, W]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.ConvTranspose2d.html */
export class ConvTranspose2d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, options: ConvTransposeLayerOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => convTranspose2d(x, this.weight, this.bias, this.options);
}

/** The transpose of a convolution of [N, C, L]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.ConvTranspose1d.html */
export class ConvTranspose1d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, options: ConvTransposeLayerOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => convTranspose1d(x, this.weight, this.bias, this.options);
}

const checkGroupNorm = argumentCheck("GroupNorm", {
  ...{ numGroups: "size", numChannels: "size" },
  options: { eps: "number from 0?", affine: "boolean?" },
});

/** Per channel over groups of channels. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.GroupNorm.html */
export class GroupNorm extends Module {
  readonly weight: Tensor | undefined; // [C]
  readonly bias: Tensor | undefined; // [C]
  readonly #groups: number;
  readonly #eps: number;

  constructor(numGroups: number, numChannels: number, options: { eps?: number; affine?: boolean } = {}) {
    super();
    checkGroupNorm([numGroups, numChannels, options]);
    check(numChannels % numGroups === 0, () => `GroupNorm: ${numChannels} channels don't make ${numGroups} groups.`);
    const { eps = 1e-5, affine = true } = options;
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

const batchNormTakes = {
  numFeatures: "size",
  options: { eps: "number from 0?", momentum: "number|null?", affine: "boolean?", trackRunningStats: "boolean?" },
} as const;

abstract class BatchNorm extends Module {
  readonly weight: Tensor | undefined; // [C]
  readonly bias: Tensor | undefined; // [C]
  readonly running_mean: Tensor | undefined; // [C], in checkpoints but not trained
  readonly running_var: Tensor | undefined; // [C], likewise
  readonly num_batches_tracked: Tensor | undefined; // a scalar, likewise; f32, which counts to 16 million
  readonly #eps: number;
  readonly #momentum: number | null;
  readonly #ranks: readonly number[];

  constructor(ranks: readonly number[], numFeatures: number, options: BatchNormLayerOptions) {
    super();
    argumentCheck(new.target.name, batchNormTakes)([numFeatures, options]);
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options;
    const untrained = (begin: "zeros" | "ones", shape = [numFeatures]): Tensor => {
      const values = parameter(shape, begin);
      values.requiresGrad = false;
      return values;
    };
    this.weight = affine ? parameter([numFeatures], "ones") : undefined;
    this.bias = affine ? parameter([numFeatures], "zeros") : undefined;
    this.running_mean = trackRunningStats ? untrained("zeros") : undefined;
    this.running_var = trackRunningStats ? untrained("ones") : undefined;
    this.num_batches_tracked = trackRunningStats ? untrained("zeros", []) : undefined;
    this.#eps = eps;
    this.#momentum = momentum;
    this.#ranks = ranks;
  }

  /** In training by the values of the batch, else by the running ones. */
  forward(x: Tensor): Tensor {
    const { num_batches_tracked: batches } = this;
    check(
      this.#ranks.includes(x.rank),
      () =>
        `${this.constructor.name}: x is ${showShape(x.shape)}; it takes ${this.#ranks.join(" or ")} dimensions, channels in the second.`,
    );
    if (this.training && batches) scope(() => copyInto(batches, add(batches, 1)));
    const momentum = this.#momentum ?? (batches && reciprocal(batches));
    const options = { training: this.training || !batches, eps: this.#eps, momentum };
    return batchNorm(x, this.running_mean, this.running_var, this.weight, this.bias, options);
  }
}

/** Per channel of [N, C, H, W]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.BatchNorm2d.html */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super([4], numFeatures, options);
  }
}

/** Per channel of [N, C] or [N, C, L]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.BatchNorm1d.html */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super([2, 3], numFeatures, options);
  }
}

abstract class InstanceNorm extends Module {
  readonly weight: Tensor | undefined; // [C]
  readonly bias: Tensor | undefined; // [C]
  readonly #eps: number;

  constructor(numFeatures: number, options: InstanceNormLayerOptions) {
    super();
    const takes = { numFeatures: "size", options: { eps: "number from 0?", affine: "boolean?" } } as const;
    argumentCheck(new.target.name, takes)([numFeatures, options]);
    const { eps = 1e-5, affine = false } = options;
    this.weight = affine ? parameter([numFeatures], "ones") : undefined;
    this.bias = affine ? parameter([numFeatures], "zeros") : undefined;
    this.#eps = eps;
  }
  forward = (x: Tensor): Tensor => instanceNorm(x, undefined, undefined, this.weight, this.bias, { eps: this.#eps });
}

/** Options of {@link InstanceNorm1d} and {@link InstanceNorm2d}; `affine` (false) gives them weight and bias. */
export interface InstanceNormLayerOptions {
  eps?: number;
  affine?: boolean;
}

/** Per channel of each image of [N, C, H, W]; running values are not kept. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.InstanceNorm2d.html */
export class InstanceNorm2d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormLayerOptions = {}) {
    super(numFeatures, options);
  }
}

/** Per channel of each row of [N, C, L], as {@link InstanceNorm2d}. */
export class InstanceNorm1d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormLayerOptions = {}) {
    super(numFeatures, options);
  }
}
