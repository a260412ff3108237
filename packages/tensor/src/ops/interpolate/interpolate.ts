import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { showShape, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { imageShape, likeInput, type Pair, type PerDim } from "../conv/window.ts";
import code from "./interpolate.wgsl";

const interpolateKernel = kernel("ops/interpolate/interpolate.wgsl", code);

const modes = ["nearest", "nearest-exact", "linear", "bilinear"] as const;

/** How a tensor is resized: to `size`, or by `scaleFactor`; one number for both dimensions, or a list [height, width]. */
export interface InterpolateOptions {
  size?: PerDim | undefined;
  scaleFactor?: PerDim | undefined;
  /** "nearest" unless given; "linear" of [N, C, L], "bilinear" of [N, C, H, W]. "nearest-exact" takes the pixel of the center. */
  mode?: (typeof modes)[number] | undefined;
  /** Of linear modes, whether the first and last pixels' centers keep their places (false). */
  alignCorners?: boolean | undefined;
}

interface Resizing {
  size: Pair;
  out: Pair;
  step: Pair;
  LINEAR: number;
  CENTERS: number;
}

function resizingOf(shape: Shape, dims: 1 | 2, [height, width]: Pair, options: InterpolateOptions): Resizing {
  const { size, scaleFactor, mode = "nearest", alignCorners = false } = options;
  check((size === undefined) !== (scaleFactor === undefined), "interpolate: give one of size and scaleFactor.");
  const linear = mode === (dims === 1 ? "linear" : "bilinear");
  check(
    linear || mode.startsWith("nearest"),
    () => `interpolate: mode ${mode} for ${showShape(shape)}; "linear" is for [N, C, L], "bilinear" for [N, C, H, W].`,
  );
  check(linear || !alignCorners, () => `interpolate: alignCorners with mode ${mode}; it is of linear modes only.`);
  const given = (size ?? scaleFactor)!;
  const list = typeof given === "number" ? new Array<number>(dims).fill(given) : [...given];
  check(
    list.length === dims && list.every((n) => n > 0 && (size === undefined || Number.isInteger(n))),
    () => `interpolate: ${size === undefined ? "scaleFactor" : "size"} ${showShape(list)} for ${showShape(shape)}.`,
  );
  const [down, across] = dims === 1 ? [1, list[0]!] : [list[0]!, list[1]!];
  const one = (n: number, asked: number): { out: number; step: number } => {
    const out = size === undefined ? Math.floor(n * asked) : asked;
    check(out > 0, () => `interpolate: scaleFactor ${asked} leaves nothing of ${showShape(shape)}.`);
    if (alignCorners) return { out, step: out > 1 ? (n - 1) / (out - 1) : 0 };
    return { out, step: size === undefined ? 1 / asked : n / out };
  };
  const rows = dims === 1 ? { out: 1, step: 1 } : one(height, down);
  const columns = one(width, across);
  return {
    ...{ size: [height, width], out: [rows.out, columns.out], step: [rows.step, columns.step] },
    LINEAR: Number(linear),
    CENTERS: Number(linear ? !alignCorners : mode === "nearest-exact"),
  };
}

function resize(source: Tensor, planes: number, { LINEAR, CENTERS, ...params }: Resizing, BACK: 0 | 1): Tensor {
  const result = empty([planes, ...(BACK ? params.size : params.out)]);
  const overrides = { LINEAR, CENTERS, BACK };
  const step_rest = params.step.map((step) => step - Math.fround(step));
  run(
    interpolateKernel,
    { source, result },
    { ...params, step_rest, count: result.size },
    { threads: result.size, overrides },
  );
  return result;
}

/**
 * x [N, C, L] or [N, C, H, W] (or without N) in another size, by its nearest elements or linearly between them, without smoothing first.
 * With `scaleFactor` the step between outputs is 1 / scaleFactor, as in PyTorch, not the ratio of the sizes.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
 */
export const interpolate = defineOp("interpolate", {
  takes: {
    x: "tensor",
    options: { size: "number|numbers?", scaleFactor: "number|numbers?", mode: modes, alignCorners: "boolean?" },
  },
  forward(x: Tensor, options: InterpolateOptions = {}) {
    const dims = x.rank === 3 && options.mode !== "bilinear" ? 1 : 2;
    const { image, batched } = imageShape("interpolate", x.shape, dims);
    const [n, channels, height, width] = image;
    const resizing = resizingOf(x.shape, dims, [height, width], options);
    const shape = likeInput([n, channels, ...resizing.out], dims, batched);
    const y = resize(x, n * channels, resizing, 0).alias(shape);
    return { output: y, inputs: { x }, saved: { resizing, planes: n * channels, shape: x.shape } };
  },
  backward: ({ resizing, planes, shape }, dy) => ({ x: resize(dy, planes, resizing, 1).alias(shape) }),
});
