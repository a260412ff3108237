import { checked, type Takes } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { copyInto } from "../../in-place.ts";
import { scope } from "../../scope.ts";
import { sameShape, showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { applyBinary, applyUnary } from "../elementwise/apply.ts";
import { add, mul, sub } from "../elementwise/binary.ts";
import { rsqrt } from "../elementwise/unary.ts";
import { combine } from "../reduce/combine.ts";
import { reductionOf } from "../reduce/stretch.ts";
import { mean as meanOf } from "../reduce/sum.ts";
import { variance } from "../reduce/variance.ts";
import { reshape } from "../shape/reshape.ts";
import { layerNorm } from "./layer-norm.ts";

const f32 = (fn: "add" | "sub" | "mul" | "div", a: Tensor, b: Tensor | number, like: Tensor): Tensor =>
  applyBinary(fn, a, b, like.shape, "f32");

/** (x − mean) / √(variance + eps) over `dims`, with the mean and the variance (divided by n), which no gradient flows to. For tests. */
export const standardize = defineOp("batchNorm", {
  forward(x: Tensor, dims: readonly number[], eps: number) {
    const reduction = reductionOf("batchNorm", x.shape, { dim: dims, keepdim: true });
    const { output, saved } = variance.definition.forward(x, { dim: dims, keepdim: true, correction: 0 });
    const scale = applyUnary("rsqrt", f32("add", output, eps, output));
    const y = f32("mul", f32("sub", x, saved.mean, x), scale, x);
    return { output: [y, saved.mean, output] as const, inputs: { x }, saved: { y, scale, reduction } };
  },
  // dx = scale (dy − mean(dy) − y mean(dy y)).
  backward({ y, scale, reduction }, dy) {
    const average = (times?: Tensor): Tensor => {
      const total = combine("sum", dy, reduction, times).alias(reduction.kept);
      return f32("div", total, reduction.count, total);
    };
    const centered = f32("sub", dy, average(), dy);
    return { x: f32("mul", f32("sub", centered, f32("mul", y, average(y), dy), dy), scale, dy) };
  },
});

function checkChannels(op: string, x: Tensor, given: Readonly<Record<string, Tensor | undefined>>): void {
  check(x.rank >= 2, () => `${op}: x is ${showShape(x.shape)}; it takes [N, C, ...].`);
  for (const [name, t] of Object.entries(given)) {
    check(
      !t || sameShape(t.shape, [x.shape[1]!]),
      () => `${op}: ${name} is ${showShape(t!.shape)} for the ${x.shape[1]} channels of x ${showShape(x.shape)}.`,
    );
  }
}

/** A value per channel, to be broadcast over [N, C, ...]. */
const perChannel = (t: Tensor, { rank }: Tensor): Tensor =>
  reshape(t, [t.size, ...new Array<number>(rank - 2).fill(1)]);

function affine(x: Tensor, weight?: Tensor, bias?: Tensor): Tensor {
  const scaled = weight ? mul(x, perChannel(weight, x)) : x;
  return bias ? add(scaled, perChannel(bias, x)) : scaled;
}

/** running ← (1 − momentum) running + momentum · value, in place. */
function follow(running: Tensor | undefined, value: Tensor, momentum: Tensor | number): void {
  if (!running) return;
  const channels = reshape(value.alias(), [running.size]);
  const rest = (): Tensor | number => (typeof momentum === "number" ? 1 - momentum : sub(1, momentum));
  scope(() => copyInto(running, add(mul(running, rest()), mul(channels, momentum))));
}

/** By running values instead of those of x. */
function byRunning(op: string, x: Tensor, mean: Tensor | undefined, value: Tensor | undefined, eps: number): Tensor {
  check(mean && value, () => `${op}: without running values it has to normalize by those of x: training.`);
  return mul(sub(x, perChannel(mean, x)), perChannel(rsqrt(add(value, eps)), x));
}

const tensorTakes = {
  ...{ x: "tensor", runningMean: "tensor?", runningVar: "tensor?", weight: "tensor?", bias: "tensor?" },
} as const satisfies Takes;

/** How {@link batchNorm} normalizes. */
export interface BatchNormOptions {
  /** By the values of x, which the running ones then follow; else by the running ones (false). */
  training?: boolean | undefined;
  /** The share of the new values in the running ones (0.1): a number, or a tensor of one. */
  momentum?: Tensor | number | undefined;
  eps?: number | undefined;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias per channel, dimension 1 of x [N, C, ...]. In training the mean and variance of all
 * others (divided by n); the running values then follow in place, the variance divided by n − 1.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
 */
export const batchNorm = checked(
  "batchNorm",
  { ...tensorTakes, options: { training: "boolean?", momentum: "operand?", eps: "number?" } },
  (
    x: Tensor,
    runningMean?: Tensor,
    runningVar?: Tensor,
    weight?: Tensor,
    bias?: Tensor,
    { training = false, momentum = 0.1, eps = 1e-5 }: BatchNormOptions = {},
  ): Tensor => {
    checkChannels("batchNorm", x, { runningMean, runningVar, weight, bias });
    if (!training) return affine(byRunning("batchNorm", x, runningMean, runningVar, eps), weight, bias);
    const dims = [...x.shape.keys()].filter((d) => d !== 1);
    const count = x.size / x.shape[1]!;
    check(count > 1, () => `batchNorm: training on one value per channel: x is ${showShape(x.shape)}.`);
    const [y, mean, biased] = standardize(x, dims, eps);
    follow(runningMean, mean, momentum);
    follow(
      runningVar,
      scope(() => mul(biased.alias(), count / (count - 1))),
      momentum,
    );
    return affine(y, weight, bias);
  },
);

/**
 * y = (x − mean) / √(variance + eps) · weight + bias over the channels of a group and all that follows: x [N, C, ...] in `numGroups`
 * groups of C; weight and bias per channel.
 * @see https://arxiv.org/abs/1803.08494
 */
export const groupNorm = checked(
  "groupNorm",
  { x: "tensor", numGroups: "index", weight: "tensor?", bias: "tensor?", options: { eps: "number?" } },
  (x: Tensor, numGroups: number, weight?: Tensor, bias?: Tensor, { eps = 1e-5 }: { eps?: number } = {}): Tensor => {
    checkChannels("groupNorm", x, { weight, bias });
    const channels = x.shape[1]!;
    check(
      numGroups > 0 && channels % numGroups === 0,
      () => `groupNorm: ${channels} channels of x ${showShape(x.shape)} don't make ${numGroups} groups.`,
    );
    const rows = x.shape[0]! * numGroups;
    const normalized = layerNorm(reshape(x, [rows, x.size / rows]), undefined, undefined, { eps });
    return affine(reshape(normalized, x.shape), weight, bias);
  },
);

/** How {@link instanceNorm} normalizes. */
export interface InstanceNormOptions {
  /** By the values of x (true), which the running ones then follow; else by the running ones. */
  useInputStats?: boolean | undefined;
  momentum?: number | undefined;
  eps?: number | undefined;
}

/**
 * As {@link groupNorm} with a group for each channel. Running values, if given, follow the mean over N of each row's mean and variance
 * (divided by n − 1).
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html
 */
export const instanceNorm = checked(
  "instanceNorm",
  { ...tensorTakes, options: { useInputStats: "boolean?", momentum: "number?", eps: "number?" } },
  (
    x: Tensor,
    runningMean?: Tensor,
    runningVar?: Tensor,
    weight?: Tensor,
    bias?: Tensor,
    { useInputStats = true, momentum = 0.1, eps = 1e-5 }: InstanceNormOptions = {},
  ): Tensor => {
    checkChannels("instanceNorm", x, { runningMean, runningVar, weight, bias });
    if (!useInputStats) return affine(byRunning("instanceNorm", x, runningMean, runningVar, eps), weight, bias);
    const dims = [...x.shape.keys()].slice(2);
    check(
      dims.length > 0,
      () => `instanceNorm: x is ${showShape(x.shape)}; it takes [N, C, ...] with more after them.`,
    );
    if (runningMean || runningVar) {
      scope(() => {
        const values = x.alias();
        follow(runningMean, meanOf(meanOf(values, { dim: dims }), { dim: 0 }), momentum);
        follow(runningVar, meanOf(variance(values, { dim: dims }), { dim: 0 }), momentum);
      });
    }
    return groupNorm(x, x.shape[1]!, weight, bias, { eps });
  },
);
