import type { Takes } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { device } from "../../runtime/init.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyBinary, permuted } from "../elementwise/apply.ts";
import { matmul } from "../matmul/matmul.ts";
import { sum } from "../reduce/sum.ts";
import unfoldCode from "./unfold.wgsl";
import { imageShape, likeInput, pairOf, perDimTakes, type Pair, type PerDim } from "./window.ts";

const unfoldKernel = kernel("ops/conv/unfold.wgsl", unfoldCode);

// A convolution is a product of matrices: weight [out, in · window] times the windows of x as columns [in · window, N · places]
// (unfold.wgsl). Its two gradients are products of the same matrices. A transposed convolution is the gradient for x, and the other way round;
// so the three functions below are all there is. Columns take as much memory as x times the window, for the time of one call; backward
// makes them again. Why they are written at all: docs/decisions/convolution.md.

type Image = readonly [n: number, channels: number, height: number, width: number];

/** How windows lie: `large` is what a convolution reads, `small` what it writes. */
interface Geometry {
  large: Image;
  small: Image;
  window: Pair;
  stride: Pair;
  dilation: Pair;
  padding: Pair;
  groups: number;
}

/** The windows of x as columns [groups, channels / groups · window, N · places], or x from such columns. */
function windows(source: Tensor, g: Geometry, FOLD: 0 | 1): Tensor {
  const [batch, channels, ...size] = g.large;
  const out = g.small.slice(2);
  const columns = [g.groups, (channels / g.groups) * sizeOf(g.window), batch * sizeOf(out)];
  const result = empty(FOLD ? g.large : columns);
  const { window, stride, dilation, padding } = g;
  const params = { count: result.size, batch, channels, size, window, out, stride, dilation, padding };
  const RUN = FOLD || !device().adapter.cpu ? 1 : runIn(out[1]!);
  run(unfoldKernel, { source, result }, params, { threads: result.size / RUN, overrides: { FOLD, RUN } });
  return result;
}

/** The most columns, up to 16, of which whole numbers fill a row. */
const runIn = (row: number): number => [16, 8, 4, 2].find((run) => row % run === 0) ?? 1;

/** Images with their channels first, [groups, channels / groups, N · places], as products have them. */
function channelsFirst(x: Tensor, [n, channels, height, width]: Image, groups: number): Tensor {
  const moved = n === 1 ? x : permuted(x.alias([n, channels, height * width]), [1, 0, 2]);
  return moved.alias([groups, channels / groups, n * height * width]);
}

/** The inverse. */
function batchFirst(x: Tensor, [n, channels, height, width]: Image): Tensor {
  if (n === 1) return x.alias([n, channels, height, width]);
  return permuted(x.alias([channels, n, height * width]), [1, 0, 2]).alias([n, channels, height, width]);
}

/** The weight by groups: [groups, small channels / groups, large channels / groups · window]. */
const byGroups = (weight: Tensor, { groups, small }: Geometry): Tensor =>
  weight.alias([groups, small[1] / groups, weight.size / small[1]]);

/** What a convolution makes of x. */
function gather(x: Tensor, weight: Tensor, g: Geometry): Tensor {
  return batchFirst(matmul(byGroups(weight, g), windows(x, g, 0)), g.small);
}

/** What a convolution's gradient for x makes of dy, which is a transposed convolution of it. */
function spread(y: Tensor, weight: Tensor, g: Geometry): Tensor {
  const columns = matmul(byGroups(weight, g), channelsFirst(y, g.small, g.groups), { transposeA: true });
  return windows(columns, g, 1);
}

/** The gradient of the weight: x on the large side, y on the small one. */
function weightGradient(x: Tensor, y: Tensor, shape: Shape, g: Geometry): Tensor {
  return matmul(channelsFirst(y, g.small, g.groups), windows(x, g, 0), { transposeB: true }).alias(shape);
}

const addBias = (y: Tensor, bias: Tensor | undefined): Tensor =>
  bias ? applyBinary("add", y, bias.alias([bias.size, 1, 1]), y.shape, "f32") : y;

/** The gradient of the bias: dy summed over all but the channels. */
const biasGradient = (dy: Tensor): Tensor => sum(dy, { dim: [0, 2, 3] });

/** Options of {@link conv2d}: a number for both dimensions, or a list [height, width]. */
export interface ConvOptions {
  stride?: PerDim | undefined;
  /** Zeros around x, on each side; "same" keeps the size, with the odd one at the end; "valid" is none. */
  padding?: PerDim | "same" | "valid" | undefined;
  dilation?: PerDim | undefined;
  groups?: number | undefined;
}

/** Options of {@link convTranspose2d}. */
export interface ConvTransposeOptions {
  stride?: PerDim | undefined;
  padding?: PerDim | undefined;
  /** Rows and columns more at the end, which a stride leaves open. */
  outputPadding?: PerDim | undefined;
  groups?: number | undefined;
  dilation?: PerDim | undefined;
}

function checkWeight(
  owner: string,
  weight: Tensor,
  bias: Tensor | undefined,
  dims: 1 | 2,
  fits: boolean,
  x: Shape,
  groups: number,
  out: number,
) {
  check(
    weight.rank === dims + 2 && fits && Number.isInteger(groups) && groups > 0,
    () => `${owner}: weight ${showShape(weight.shape)} doesn't fit x ${showShape(x)} in ${groups} group(s).`,
  );
  check(
    !bias || sameShape(bias.shape, [out]),
    () => `${owner}: bias ${showShape(bias!.shape)} for ${out} channels of the result: it takes [${out}].`,
  );
  for (const t of [weight, ...(bias ? [bias] : [])])
    check(t.dtype === "f32", () => `${owner}: ${t.toString()} is not of floats. Cast it.`);
}

const takesOf = (options: Takes): Takes => ({ x: "tensor", weight: "tensor", bias: "tensor?", options });

/* @__NO_SIDE_EFFECTS__ */
function defineConv(owner: string, dims: 1 | 2) {
  return defineOp(owner, {
    takes: takesOf({ stride: perDimTakes, padding: "any", dilation: perDimTakes, groups: "index?" }),
    forward(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvOptions = {}) {
      const { groups = 1, padding: around = 0 } = options;
      const { image, batched } = imageShape(owner, x.shape, dims);
      const out = weight.shape[0] ?? 0;
      const fits = weight.shape[1]! * groups === image[1] && out % groups === 0;
      checkWeight(owner, weight, bias, dims, fits, x.shape, groups, out);
      const window = pairOf(owner, "the window", weight.shape.slice(2), dims, 1, 1);
      const stride = pairOf(owner, "stride", options.stride ?? 1, dims, 1, 1);
      const dilation = pairOf(owner, "dilation", options.dilation ?? 1, dims, 1, 1);
      const reach = [0, 1].map((d) => dilation[d]! * (window[d]! - 1)) as unknown as Pair;
      check(
        around !== "same" || stride.every((s) => s === 1),
        () => `${owner}: padding "same" with stride ${showShape(stride)}; it keeps the size, so it takes stride 1.`,
      );
      const total: Pair =
        around === "same"
          ? reach
          : (pairOf(owner, "padding", around === "valid" ? 0 : around, dims, 0, 0).map(
              (p) => 2 * p,
            ) as unknown as Pair);
      const places = [0, 1].map((d) => Math.floor((image[2 + d]! + total[d]! - reach[d]! - 1) / stride[d]!) + 1);
      check(
        places.every((n) => n > 0),
        () => `${owner}: weight ${showShape(weight.shape)} is larger than x ${showShape(x.shape)} with its padding.`,
      );
      const padding = total.map((p) => Math.floor(p / 2)) as unknown as Pair;
      const small: Image = [image[0], out, places[0]!, places[1]!];
      const g: Geometry = { large: image, small, window, stride, dilation, padding, groups };
      const y = addBias(gather(x, weight, g), bias).alias(likeInput(small, dims, batched));
      return { output: y, inputs: { x, weight, bias }, saved: { x, weight, g } };
    },
    backward({ x, weight, g }, given, needs) {
      const dy = given.alias(g.small);
      return {
        x: needs.x ? spread(dy, weight, g).alias(x.shape) : undefined,
        weight: needs.weight ? weightGradient(x, dy, weight.shape, g) : undefined,
        bias: needs.bias ? biasGradient(dy) : undefined,
      };
    },
  });
}

/* @__NO_SIDE_EFFECTS__ */
function defineTransposed(owner: string, dims: 1 | 2) {
  return defineOp(owner, {
    takes: takesOf({
      ...{ stride: perDimTakes, padding: perDimTakes, outputPadding: perDimTakes },
      ...{ groups: "index?", dilation: perDimTakes },
    }),
    forward(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvTransposeOptions = {}) {
      const { groups = 1 } = options;
      const { image, batched } = imageShape(owner, x.shape, dims);
      const out = (weight.shape[1] ?? 0) * groups;
      checkWeight(
        owner,
        weight,
        bias,
        dims,
        weight.shape[0] === image[1] && image[1] % groups === 0,
        x.shape,
        groups,
        out,
      );
      const window = pairOf(owner, "the window", weight.shape.slice(2), dims, 1, 1);
      const stride = pairOf(owner, "stride", options.stride ?? 1, dims, 1, 1);
      const dilation = pairOf(owner, "dilation", options.dilation ?? 1, dims, 1, 1);
      const padding = pairOf(owner, "padding", options.padding ?? 0, dims, 0, 0);
      const more = pairOf(owner, "outputPadding", options.outputPadding ?? 0, dims, 0, 0);
      check(
        more.every((m, d) => m < Math.max(stride[d]!, dilation[d]!)),
        () =>
          `${owner}: outputPadding ${showShape(more)} is not below stride ${showShape(stride)} or dilation ${showShape(dilation)}.`,
      );
      const sizes = [0, 1].map(
        (d) => (image[2 + d]! - 1) * stride[d]! - 2 * padding[d]! + dilation[d]! * (window[d]! - 1) + more[d]! + 1,
      );
      check(
        sizes.every((n) => n > 0),
        () => `${owner}: padding ${showShape(padding)} leaves nothing of x ${showShape(x.shape)}.`,
      );
      const large: Image = [image[0], out, sizes[0]!, sizes[1]!];
      const g: Geometry = { large, small: image, window, stride, dilation, padding, groups };
      const y = addBias(spread(x, weight, g), bias).alias(likeInput(large, dims, batched));
      return { output: y, inputs: { x, weight, bias }, saved: { x, weight, g } };
    },
    backward({ x, weight, g }, given, needs) {
      const dy = given.alias(g.large);
      return {
        x: needs.x ? gather(dy, weight, g).alias(x.shape) : undefined,
        weight: needs.weight ? weightGradient(dy, x, weight.shape, g) : undefined,
        bias: needs.bias ? biasGradient(dy) : undefined,
      };
    },
  });
}

/**
 * y[n, o, i, j] = bias[o] + Σ x[n, c, i stride + k dilation − padding, …] weight[o, c, k, …]: x [N, C, H, W] or [C, H, W], weight
 * [out, C / groups, kH, kW]. The weight is not turned round, as everywhere in deep learning.
 * @throws when the shapes don't fit
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html
 */
export const conv2d = defineConv("conv2d", 2);

/** {@link conv2d} of one dimension: x [N, C, L] or [C, L], weight [out, C / groups, k]. */
export const conv1d = defineConv("conv1d", 1);

/**
 * The transpose of {@link conv2d}, which is its gradient for x: each x[n, c, i, j] adds weight[c, o, k, l] to y at
 * (i stride + k dilation − padding, …). x [N, C, H, W] or [C, H, W], weight [C, out / groups, kH, kW].
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html
 */
export const convTranspose2d = defineTransposed("convTranspose2d", 2);

/** {@link convTranspose2d} of one dimension: weight [C, out / groups, k]. */
export const convTranspose1d = defineTransposed("convTranspose1d", 1);
