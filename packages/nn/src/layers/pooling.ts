import {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  argumentCheck,
  avgPool1d,
  avgPool2d,
  maxPool1d,
  maxPool2d,
  type AvgPoolOptions,
  type MaxPoolOptions,
  type PerDim,
  type Takes,
  type Tensor,
} from "@gpugrad/tensor";
import { Module } from "../module.ts";

const perDim = "number|numbers?";
const maxOptions: Takes = { stride: perDim, padding: perDim, dilation: perDim, ceilMode: "boolean?" };
const avgOptions: Takes = {
  ...{ stride: perDim, padding: perDim, ceilMode: "boolean?" },
  ...{ countIncludePad: "boolean?", divisorOverride: "number?" },
};

abstract class Pool<Options> extends Module {
  protected readonly kernelSize: PerDim;
  protected readonly options: Options;

  constructor(takes: Takes, kernelSize: PerDim, options: Options) {
    super();
    argumentCheck(new.target.name, { kernelSize: "size|sizes", options: takes })([kernelSize, options]);
    this.kernelSize = kernelSize;
    this.options = options;
  }
}

/** The largest element of each window. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.MaxPool2d.html */
export class MaxPool2d extends Pool<MaxPoolOptions> {
  constructor(kernelSize: PerDim, options: MaxPoolOptions = {}) {
    super(maxOptions, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => maxPool2d(x, this.kernelSize, this.options);
}

/** The largest element of each window of [N, C, L]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.MaxPool1d.html */
export class MaxPool1d extends Pool<MaxPoolOptions> {
  constructor(kernelSize: PerDim, options: MaxPoolOptions = {}) {
    super(maxOptions, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => maxPool1d(x, this.kernelSize, this.options);
}

/** The mean of each window. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.AvgPool2d.html */
export class AvgPool2d extends Pool<AvgPoolOptions> {
  constructor(kernelSize: PerDim, options: AvgPoolOptions = {}) {
    super(avgOptions, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => avgPool2d(x, this.kernelSize, this.options);
}

/** The mean of each window of [N, C, L]. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.AvgPool1d.html */
export class AvgPool1d extends Pool<AvgPoolOptions> {
  constructor(kernelSize: PerDim, options: AvgPoolOptions = {}) {
    super(avgOptions, kernelSize, options);
  }
  forward = (x: Tensor): Tensor => avgPool1d(x, this.kernelSize, this.options);
}

/** Sizes of a result: one for both dimensions, or [height, width], where null keeps a size. */
type OutputSize = number | readonly (number | null)[];

abstract class AdaptivePool extends Module {
  protected readonly outputSize: OutputSize;

  constructor(outputSize: OutputSize) {
    super();
    argumentCheck(new.target.name, { outputSize: "any" })([outputSize]);
    this.outputSize = outputSize;
  }
}

/** Means of windows that divide x evenly. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.AdaptiveAvgPool2d.html */
export class AdaptiveAvgPool2d extends AdaptivePool {
  forward = (x: Tensor): Tensor => adaptiveAvgPool2d(x, this.outputSize);
}

/** The largest elements of windows that divide x evenly. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.AdaptiveMaxPool2d.html */
export class AdaptiveMaxPool2d extends AdaptivePool {
  forward = (x: Tensor): Tensor => adaptiveMaxPool2d(x, this.outputSize);
}
