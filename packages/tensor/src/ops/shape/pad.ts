import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { fromArray } from "../../factories.ts";
import { showShape, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { full, zeros } from "../create/create.ts";
import { indexSelect } from "../index/index-select.ts";
import { copyView, viewOf } from "./copy.ts";

/** What is added to a dimension, or cropped where it is negative. */
interface Amount {
  before: number;
  after: number;
}

/** PyTorch's list, the last dimension first, as amounts of each dimension. */
function amountsOf(x: Tensor, pad: readonly number[]): Amount[] {
  check(
    pad.length % 2 === 0 && pad.length <= 2 * x.rank && pad.every(Number.isInteger),
    () => `pad: ${showShape(pad)} for ${showShape(x.shape)}: two whole numbers for each dimension, the last one first.`,
  );
  return x.shape.map((_, d) => {
    const at = 2 * (x.rank - 1 - d);
    return { before: pad[at] ?? 0, after: pad[at + 1] ?? 0 };
  });
}

/** With `value` around x: what other ops call, without the modes of {@link pad}. */
export const constantPad = defineOp("pad", {
  forward(x: Tensor, pad: readonly number[], { value = 0 }: { value?: number } = {}) {
    const amounts = amountsOf(x, pad);
    const shape = x.shape.map((n, d) => n + amounts[d]!.before + amounts[d]!.after);
    check(
      shape.every((n) => n >= 0),
      () => `pad: ${showShape(pad)} crops more than ${showShape(x.shape)} has.`,
    );
    const changes = amounts.some(({ before, after }) => before !== 0 || after !== 0);
    const y = changes ? full(shape, value, { dtype: x.dtype }) : x.alias();
    if (changes) move(x, y, amounts);
    return { output: y, inputs: { x }, saved: { shape: x.shape, amounts } };
  },
  backward({ shape, amounts }, dy) {
    const dx = zeros(shape);
    move(
      dy,
      dx,
      amounts.map(({ before, after }) => ({ before: -before, after: -after })),
    );
    return { x: dx };
  },
});

/** x with zeros after its elements in each dimension, up to `shape`. Nothing is recorded. */
export function padded(x: Tensor, shape: Shape): Tensor {
  const y = zeros(shape);
  copyView(x.shape, x, viewOf(x.shape), y, viewOf(shape));
  return y;
}

/** Copies what x and y have in common, if y is x with elements added (or, where negative, cropped) before and after. */
function move(x: Tensor, y: Tensor, amounts: readonly Amount[]): void {
  const inX = amounts.map(({ before }) => Math.max(0, -before));
  const inY = amounts.map(({ before }) => Math.max(0, before));
  const common = x.shape.map((n, d) => Math.min(n - inX[d]!, y.shape[d]! - inY[d]!));
  copyView(
    common.map((n) => Math.max(0, n)),
    x,
    viewOf(x.shape, inX),
    y,
    viewOf(y.shape, inY),
  );
}

/** Which of n elements stands at place i, before the first or behind the last, and how many places there are on a side. */
const modes = {
  reflect: { most: (n: number) => n - 1, at: (i: number, n: number) => (i < 0 ? -i : i < n ? i : 2 * (n - 1) - i) },
  replicate: {
    most: (n: number) => (n > 0 ? Infinity : 0),
    at: (i: number, n: number) => Math.max(0, Math.min(i, n - 1)),
  },
  circular: { most: (n: number) => n, at: (i: number, n: number) => (i + n) % n },
};

/** Options of {@link pad}. */
export interface PadOptions {
  /** With mode "constant": what is put around x (0). */
  value?: number;
  /** "reflect" mirrors x at its first and last elements, "replicate" repeats these, "circular" continues at the other end. */
  mode?: "constant" | "reflect" | "replicate" | "circular";
}

/**
 * x with elements around it: `value`, or x's own by a `mode`. `pad` is PyTorch's list: how many before and after in the last dimension, then in the
 * one before it, …; negative counts crop, with a value. Any dtype of 32 bits.
 * @throws when a mode takes more of x than there is
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
 */
export const pad = checked(
  "pad",
  {
    ...{ x: "tensor", pad: "numbers" },
    options: { value: "number?", mode: ["constant", "reflect", "replicate", "circular"] },
  },
  (x: Tensor, pad: readonly number[], { value = 0, mode = "constant" }: PadOptions = {}): Tensor => {
    if (mode === "constant" || pad.every((n) => n === 0)) return constantPad(x, pad, { value });
    const { most, at } = modes[mode];
    return amountsOf(x, pad).reduce((y, { before, after }, d) => {
      const n = x.shape[d]!;
      check(
        Math.min(before, after) >= 0 && Math.max(before, after) <= Math.max(0, most(n)),
        () =>
          `pad: ${before} and ${after} elements for the ${n} of dimension ${d}: mode "${mode}" takes 0 to ${Math.max(0, most(n))} on a side.`,
      );
      if (before + after === 0) return y;
      const places = Int32Array.from({ length: before + n + after }, (_, i) => at(i - before, n));
      return indexSelect(y, d, fromArray(places, [places.length], "i32"));
    }, x);
  },
);
