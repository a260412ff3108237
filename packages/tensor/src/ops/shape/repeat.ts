import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { showShape, stridesOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { copyView, viewOf } from "./copy.ts";
import { sumOver } from "./expand.ts";

/**
 * x tiled: `repeats[d]` times along dimension d, new dimensions in front where there are more repeats than dimensions. Any dtype
 * of 32 bits. Its gradient is the sum over the tiles.
 * @throws when there are fewer repeats than dimensions, or one is negative
 */
export const repeat = defineOp("repeat", {
  takes: { x: "tensor", repeats: "numbers" },
  forward(x: Tensor, repeats: readonly number[]) {
    const lead = repeats.length - x.rank;
    check(
      lead >= 0 && repeats.every((n) => Number.isInteger(n) && n >= 0),
      () =>
        `repeat: repeats ${showShape(repeats)} for ${showShape(x.shape)}: one whole number for each dimension, or more.`,
    );
    const sizes = [...new Array<number>(lead).fill(1), ...x.shape];
    const y = empty(
      sizes.map((n, d) => n * repeats[d]!),
      x.dtype,
    );
    // Each dimension becomes two: which tile, and where in it. The step from tile to tile is 0.
    const tiles = sizes.flatMap((n, d) => [repeats[d]!, n]);
    const strides = stridesOf(sizes).flatMap((step) => [0, step]);
    copyView(tiles, x, { offset: 0, strides }, y, viewOf(tiles));
    return { output: y, inputs: { x }, saved: { shape: x.shape, tiles } };
  },
  backward({ shape, tiles }, dy) {
    const repeated = tiles.flatMap((n, d) => (d % 2 === 0 && n !== 1 ? [d] : []));
    return { x: sumOver(dy.alias(tiles), repeated, shape) };
  },
});
