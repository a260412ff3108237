import { constant } from "@gpugrad/nn";
import { numberDistances, slice, type DistanceNumbers, type Tensor } from "@gpugrad/tensor";

/** Which row of the table of relative positions a distance i − j has, and which rows a text of T tokens needs. */
export class Distances {
  readonly #rowOf: (distance: number) => number;
  readonly #numbers: DistanceNumbers;

  /** @param longest tokens in the longest text */
  constructor(longest: number, rowOf: (distance: number) => number) {
    this.#rowOf = rowOf;
    const all = Array.from({ length: 2 * longest - 1 }, (_, place) => rowOf(place - (longest - 1)));
    const { numbers, ranges } = numberDistances(all);
    this.#numbers = { numbers: constant(numbers), ranges: constant(ranges) };
  }

  /** The rows of a table that a text of T tokens needs; the first of them is row {@link firstRow}. */
  rowsFor(table: Tensor, T: number): Tensor {
    return slice(table, [[this.firstRow(T), this.#rowOf(T - 1) + 1]]);
  }

  firstRow(T: number): number {
    return this.#rowOf(1 - T);
  }

  get numbers(): DistanceNumbers {
    return this.#numbers;
  }
}

/**
 * A distance by itself up to half of `buckets`, then ever wider buckets up to `reach`: all of them between −(buckets − 1) and buckets − 1,
 * negative for keys after the query. In float32, as PyTorch rounds.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/deberta_v2/modeling_deberta_v2.py (make_log_bucket_position)
 */
export function logarithmicBucket(distance: number, buckets: number, reach: number): number {
  const middle = Math.floor(buckets / 2);
  const far = Math.abs(distance);
  if (far <= middle) return distance;
  const f = Math.fround;
  const range = f(Math.log(f((reach - 1) / middle)));
  const part = f(f(Math.log(f(far / middle))) / range);
  return Math.sign(distance) * (Math.ceil(f(part * (middle - 1))) + middle);
}

/** The row of a distance in a table of 2 · `span` rows, whose middle is distance 0. */
export const rowIn = (distance: number, span: number): number => Math.max(0, Math.min(distance + span, 2 * span - 1));
