import { benchBackward, benchOp, rungsOf, uniform, type BenchCase } from "../../testing/bench-op.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import { gruReference, lstmReference } from "./recurrent.reference.ts";
import { gruSequence, lstmSequence } from "./recurrent.ts";

const WAYS = {
  gru: { op: gruSequence, reference: gruReference(), gates: 3, planes: 1 },
  lstm: { op: lstmSequence, reference: lstmReference(), gates: 4, planes: 2 },
} as const;

/** A layer over [T, B] with H units, and its way back: what waits for the step before, without the inputs' product. */
function layer(cell: "gru" | "lstm", T: number, B: number, H: number): BenchCase[] {
  const { op, reference, gates, planes } = WAYS[cell];
  const name = `${cell}${[T, B, H].join("x")}`;
  const flops = 2 * T * B * gates * H * H;
  const spec = {
    shapes: [[T, B, gates * H], [planes, B, H], [gates * H, H], [gates * H]],
    result: [planes, T, B, H],
    values: { 2: (count: number) => uniform(count, 5, 1 / Math.sqrt(H)) }, // as layers begin: larger ones make sequences that no rounding survives
    sliced: 0,
    reference: (...arrays: NdArray[]) => reference(...(arrays as Parameters<typeof reference>)),
  }; // prettier-ignore
  const rungs = (suffix = "") =>
    cell === "lstm" ? rungsOf("recurrent", { batch: B, units: H, steps: T }, suffix) : [];
  return [
    benchOp(name, { ...spec, flops, op: (...tensors) => op(...(tensors as Parameters<typeof op>)), rungs: rungs() }),
    benchBackward(`${name}_bwd`, { ...spec, flops: 2 * flops, op, rungs: rungs("-backward") }),
  ];
}

export const benches: BenchCase[] = [...layer("gru", 24, 16, 64), ...layer("lstm", 24, 16, 64)];
