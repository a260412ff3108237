import { check } from "../../errors.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { showShape, sizeOf, stridesOf, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import code from "./copy.wgsl";

const copyKernel = kernel("ops/shape/copy.wgsl", code);
const MAX_DIMS = 16; // what Params has room for

/** A walk through a tensor's memory: index (i₀, i₁, …) lies at offset + Σ i_d · strides_d, in elements. */
export interface View {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** The view of a whole contiguous tensor, or of the box in it that begins at `start`. */
export function viewOf(shape: Shape, start: readonly number[] = []): View {
  const strides = stridesOf(shape);
  return { strides, offset: start.reduce((offset, at, d) => offset + at * strides[d]!, 0) };
}

/** Copies the elements of `from` in `x` to the places of `to` in `y`, for every index of `shape`. Elements have 32 bits. */
export function copyView(shape: Shape, x: Tensor, from: View, y: Tensor, to: View): void {
  if (sizeOf(shape) === 0) return;
  const dims = mergeDims(shape, from.strides, to.strides);
  const rank = dims.length;
  check(rank <= MAX_DIMS, () => `copy: ${showShape(shape)} has more than ${MAX_DIMS} dimensions. Reshape it to fewer.`);

  // Four neighbours go together if they are neighbours in both, and every four begin at a multiple of 16 bytes.
  const [inner, ...outer] = dims;
  const starts = [from.offset, to.offset, inner!.n, ...outer.flatMap((d) => [d.from, d.to])];
  const wide = inner!.from === 1 && inner!.to === 1 && starts.every((n) => n % 4 === 0);
  const lanes = wide ? 4 : 1;
  if (wide) {
    inner!.n /= 4;
    for (const d of outer) {
      d.from /= 4;
      d.to /= 4;
    }
  }
  const padded = (values: number[]): number[] => [...values, ...new Array<number>(MAX_DIMS - rank).fill(0)];
  run(
    wide ? specialize(copyKernel, { Element: "vec4u" }) : copyKernel,
    { x, y },
    {
      sizes: padded(dims.map((d) => d.n)),
      x_strides: padded(dims.map((d) => d.from)),
      y_strides: padded(dims.map((d) => d.to)),
      x_offset: from.offset / lanes,
      y_offset: to.offset / lanes,
      count: sizeOf(shape) / lanes,
    },
    { threads: sizeOf(shape) / lanes, overrides: { RANK: rank } },
  );
}

interface Dim {
  n: number;
  from: number;
  to: number;
}

/** Dimensions innermost first, without those of size 1; two that both views walk as one are one. At least one is left. */
function mergeDims(shape: Shape, from: readonly number[], to: readonly number[]): Dim[] {
  const dims: Dim[] = [];
  for (let d = shape.length - 1; d >= 0; d--) {
    const dim = { n: shape[d]!, from: from[d]!, to: to[d]! };
    if (dim.n === 1) continue;
    const last = dims.at(-1);
    if (last && dim.from === last.from * last.n && dim.to === last.to * last.n) last.n *= dim.n;
    else dims.push(dim);
  }
  return dims.length > 0 ? dims : [{ n: 1, from: 0, to: 0 }];
}
