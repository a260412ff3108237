import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { fromArray } from "../../factories.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import forwardCode from "./relative-bias.wgsl";
import backwardCode from "./relative-bias-backward.wgsl";

const forwardKernel = kernel("ops/relative/relative-bias.wgsl", forwardCode);
const backwardKernel = kernel("ops/relative/relative-bias-backward.wgsl", backwardCode);

/** How distances between tokens are numbered, on the device; {@link numberDistances} makes it. */
export interface DistanceNumbers {
  /** i32 [2M − 1]: the number of distance d = i − j at place d + M − 1. */
  numbers: Tensor;
  /** i32 [R, 2]: the places of each number's distances, which are neighbours: the first, and the one after the last. */
  ranges: Tensor;
}

/**
 * Puts a numbering of distances on the device: for each distance −(M − 1) … M − 1 its number, from 0 on.
 * @throws when the distances of a number are not neighbours
 */
export const numberDistances = checked(
  "numberDistances",
  { numbers: "numbers" },
  (numbers: readonly number[]): DistanceNumbers => {
    const ranges = Array.from({ length: numbers.reduce((a, b) => Math.max(a, b), 0) + 1 }, () => [0, 0]);
    for (const [place, number] of numbers.entries()) {
      const range = ranges[number]!;
      check(
        range[1] === 0 || range[1] === place,
        () => `numberDistances: the distances of number ${number} are not neighbours: it is at place ${place} again.`,
      );
      if (range[1] === 0) range[0] = place;
      range[1] = place + 1;
    }
    return {
      numbers: fromArray(numbers, [numbers.length], "i32"),
      ranges: fromArray(ranges.flat(), [ranges.length, 2], "i32"),
    };
  },
);

/** Options of {@link relativeBias}. */
export interface RelativeBiasOptions {
  /** What all is multiplied by; 1 unless said otherwise. */
  scale?: number;
  /** The number that the tables begin with: those that no distance reaches may be left out. Default 0. */
  first?: number;
}

/**
 * y_ij = scale · (rows[i, r] + columns[j, r]), r = numbers[i − j] − first: f32 [B, H, T, T], what relative positions add to attention's
 * scores. `rows` has for each query a score per numbered distance, `columns` for each key; one of them may be left out. A number
 * outside of the tables gives NaN.
 *
 * @param rows [B, H, T, R]
 * @param columns likewise
 * @param numbers i32 [2M − 1], M ≥ T
 * @param ranges i32 [numbers, 2]
 * @see He et al., DeBERTa, 2021. https://arxiv.org/abs/2006.03654
 */
export const relativeBias = defineOp("relativeBias", {
  takes: {
    ...{ rows: "tensor?", columns: "tensor?", numbers: "tensor", ranges: "tensor" },
    options: { scale: "number?", first: "number?" },
  },
  forward(
    rows: Tensor | undefined,
    columns: Tensor | undefined,
    numbers: Tensor,
    ranges: Tensor,
    { scale = 1, first = 0 }: RelativeBiasOptions = {},
  ) {
    const table = rows ?? columns;
    check(table, "relativeBias: neither rows nor columns are given.");
    for (const [name, x] of Object.entries({ rows: table, columns: columns ?? table })) {
      check(
        x.dtype === "f32" && x.rank === 4 && sameShape(x.shape, table.shape),
        () => `relativeBias: ${name} is ${showShape(x.shape)} of ${x.dtype}, not the floats [B, H, T, R] of the other.`,
      );
    }
    const [B, H, T, R] = table.shape as [number, number, number, number];
    check(
      numbers.dtype === "i32" && ranges.dtype === "i32" && ranges.shape[1] === 2 && numbers.size >= 2 * T - 1,
      () =>
        `relativeBias: numbers ${showShape(numbers.shape)} ${numbers.dtype} and ranges ${showShape(ranges.shape)} ` +
        `${ranges.dtype} do not number ${2 * T - 1} distances. numberDistances() makes them.`,
    );
    const y = empty([B, H, T, T]);
    const params = { length: T, width: R, first, middle: (numbers.size - 1) / 2, scale };
    run(
      forwardKernel,
      { rows: table, columns: columns ?? table, numbers, y },
      { size: y.size, ...params },
      { threads: y.size, overrides: { ROWS: Number(rows !== undefined), COLUMNS: Number(columns !== undefined) } },
    );
    return { output: y, inputs: { rows, columns }, saved: { ranges, shape: table.shape, params } };
  },
  backward({ ranges, shape, params }, dy, needs) {
    const gradient = (COLUMNS: number): Tensor => {
      const dtable = empty(shape);
      run(
        backwardKernel,
        { dy, ranges, dtable },
        { size: dtable.size, ...params, numbered: ranges.shape[0]! },
        { threads: dtable.size, overrides: { COLUMNS } },
      );
      return dtable;
    };
    return { rows: needs.rows ? gradient(0) : undefined, columns: needs.columns ? gradient(1) : undefined };
  },
});
