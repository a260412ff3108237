import type { Takes } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { device } from "../../runtime/init.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyBinary } from "../elementwise/apply.ts";
import { matmul } from "../matmul/matmul.ts";
import { copyView, viewOf } from "../shape/copy.ts";
import { sum } from "../reduce/sum.ts";
import unfoldCode from "./unfold.wgsl";
import { imageShape, likeInput, pairOf, perDimTakes, type Pair, type PerDim } from "./window.ts";

const unfoldKernel = kernel("ops/conv/unfold.wgsl", unfoldCode);

// A convolution is a product of matrices: weight [out, in · window] times the windows of x as columns [in · window, N · places]
// (unfold.wgsl). Its two gradients are products of the same matrices. A transposed convolution is the gradient for x, and the other way round;
// so the three functions below are all there is. Columns take as much memory as x times the window, so they are made of as many images, or rows
// of one image, as the device can bind, one piece after the other; backward makes them again. Why they are written at all: docs/decisions/convolution.md.

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

/** Images whose columns are made at once, or rows of outputs of one image. */
interface Piece {
  image: number;
  images: number;
  row: number;
  rows: number;
}

/** Bytes of columns that are made at once, at most: a GPU is busy long before. Tests lower it. */
export const columnsAtOnce = { most: 2 ** 28 };

/** All there is in pieces whose columns the device can bind: as many images as possible, or rows of one. */
function piecesOf({ large, small, window }: Geometry): Piece[] {
  const [batch, , height, width] = small;
  const room = Math.min(device().gpu.limits.maxStorageBufferBindingSize, columnsAtOnce.most);
  const row = 4 * large[1] * sizeOf(window) * width;
  const rows = Math.max(1, Math.min(height, Math.floor(room / row)));
  const images = rows < height ? 1 : Math.max(1, Math.min(batch, Math.floor(room / (row * height))));
  const pieces: Piece[] = [];
  for (let image = 0; image < Math.max(1, batch); image += images)
    for (let from = 0; from < height; from += rows)
      pieces.push({ image, images: Math.min(images, batch - image), row: from, rows: Math.min(rows, height - from) });
  return pieces;
}

/** Writes the windows of x as columns [groups, channels / groups · window, images · places], or adds up such columns to x. */
function unfold(FOLD: 0 | 1, source: Tensor, result: Tensor, g: Geometry, { image, images, row, rows }: Piece): void {
  const [, channels, ...size] = g.large;
  const { window, stride, dilation, padding, small } = g;
  const out = [rows, small[3]];
  const count = FOLD ? images * channels * sizeOf(size) : result.size;
  const params = { count, batch: images, channels, size, window, out, first: [image, row], stride, dilation, padding };
  const RUN = FOLD || !device().adapter.cpu ? 1 : runIn(small[3]);
  const overrides = { FOLD, RUN, ADD: +(row > 0) };
  run(unfoldKernel, { source, result }, params, { threads: count / RUN, overrides });
}

/** The windows of a piece of x as columns. */
function windows(x: Tensor, g: Geometry, piece: Piece): Tensor {
  const places = piece.images * piece.rows * g.small[3];
  const columns = empty([g.groups, (g.large[1] / g.groups) * sizeOf(g.window), places]);
  unfold(0, x, columns, g, piece);
  return columns;
}

/** The most columns, up to 16, of which whole numbers fill a row. */
const runIn = (row: number): number => [16, 8, 4, 2].find((run) => row % run === 0) ?? 1;

/** A piece of images, and the same with its channels first, [channels, images, places], as products have them: shape and strides. */
function viewsOf([, channels, height, width]: Image, { image, images, row, rows }: Piece) {
  const shape = [channels, images, rows * width];
  const plane = height * width;
  return {
    shape,
    images: { offset: image * channels * plane + row * width, strides: [plane, channels * plane, 1] },
    channels: viewOf(shape),
  };
}

/** Whether a piece is one image, and all there is: its channels come first as it is. */
const isOneImage = ({ small }: Geometry, { rows }: Piece): boolean => small[0] === 1 && rows === small[2];

/** A piece of y with its channels first, [groups, channels / groups, images · places]. */
function channelsFirst(y: Tensor, g: Geometry, piece: Piece): Tensor {
  const { shape, images, channels } = viewsOf(g.small, piece);
  const firstShape = [g.groups, g.small[1] / g.groups, piece.images * shape[2]!];
  if (isOneImage(g, piece)) return y.alias(firstShape);
  const first = empty(firstShape);
  copyView(shape, y, images, first, channels);
  return first;
}

/** The weight by groups: [groups, small channels / groups, large channels / groups · window]. */
const byGroups = (weight: Tensor, { groups, small }: Geometry): Tensor =>
  weight.alias([groups, small[1] / groups, weight.size / small[1]]);

/** What a convolution makes of x. */
function gather(x: Tensor, weight: Tensor, g: Geometry): Tensor {
  const pieces = piecesOf(g);
  const product = (piece: Piece): Tensor => {
    const columns = windows(x, g, piece);
    const made = matmul(byGroups(weight, g), columns);
    columns.dispose();
    return made;
  };
  if (isOneImage(g, pieces[0]!)) return product(pieces[0]!).alias(g.small);
  const y = empty(g.small);
  for (const piece of pieces) {
    const made = product(piece);
    const { shape, images, channels } = viewsOf(g.small, piece);
    copyView(shape, made, channels, y, images);
    made.dispose();
  }
  return y;
}

/** What a convolution's gradient for x makes of dy, which is a transposed convolution of it. */
function spread(y: Tensor, weight: Tensor, g: Geometry): Tensor {
  const x = empty(g.large);
  for (const piece of piecesOf(g)) {
    const dy = channelsFirst(y, g, piece);
    const columns = matmul(byGroups(weight, g), dy, { transposeA: true });
    unfold(1, columns, x, g, piece);
    for (const made of [dy, columns]) made.dispose();
  }
  return x;
}

/** The gradient of the weight: x on the large side, y on the small one. */
function weightGradient(x: Tensor, y: Tensor, shape: Shape, g: Geometry): Tensor {
  const parts = piecesOf(g).map((piece) => {
    const [dy, columns] = [channelsFirst(y, g, piece), windows(x, g, piece)];
    const part = matmul(dy, columns, { transposeB: true });
    for (const made of [dy, columns]) made.dispose();
    return part;
  });
  return parts.reduce((sum, part) => applyBinary("add", sum, part, part.shape, "f32")).alias(shape);
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
