import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import { device } from "../../runtime/init.ts";
import { scope } from "../../scope.ts";
import { checkOp, expectClose, randomNormal, withDevice, withGpuKernels, type OpCase } from "../../testing/check-op.ts";
import type { Tensor } from "../../tensor.ts";
import { ndArray } from "../../testing/nd-array.ts";
import { zeros } from "../create/create.ts";
import { withRung } from "../ladders.ts";
import { chooseRecurrent, recurrentLadder } from "./ladder.ts";
import { gruReference, lstmReference } from "./recurrent.reference.ts";
import { gruSequence, lstmSequence } from "./recurrent.ts";

/** Steps, rows and units that fit no vector and no workgroup; both ways, both orders. */
const cases = (gates: number, planes: number): OpCase[] =>
  [
    { T: 1, B: 1, H: 1 },
    { T: 4, B: 3, H: 5 },
    { T: 3, B: 2, H: 4, args: [{ batchFirst: true, reverse: true }] },
    { T: 3, B: 0, H: 4 },
  ].map(({ T, B, H, args }) => ({
    shapes: [args ? [B, T, gates * H] : [T, B, gates * H], [planes, B, H], [gates * H, H], [gates * H]],
    args: args ?? [],
  }));

checkOp(gruSequence, gruReference(), { cases: cases(3, 1) });
checkOp(lstmSequence, lstmReference(), { cases: cases(4, 2) });

describe.each([
  ["gru", gruSequence, gruReference, 3, 1],
  ["lstm", lstmSequence, lstmReference, 4, 2],
] as const)("%s", (_, op, reference, gates, planes) => {
  withDevice();
  const [T, B, H] = [3, 18, 70]; // more rows and units than a workgroup has
  const lengths = Array.from({ length: B }, (_, b) => b % (T + 1));
  const arrays = [[T, B, gates * H], [planes, B, H], [gates * H, H], [gates * H]].map((shape, i) =>
    ndArray(shape, randomNormal(shape.reduce((a, b) => a * b), i + 1).map((v) => (i === 2 ? v / 8 : v))),
  ); // prettier-ignore

  const forward = op.definition.forward as (...args: unknown[]) => { output: Tensor; saved: unknown };
  const backward = op.definition.backward as (...args: unknown[]) => Record<string, Tensor>;

  /** States and gradients for dstates all 1, with rows of their own lengths. */
  const results = async (reverse: boolean): Promise<number[][]> => {
    const all = scope(() => {
      const tensors = arrays.map(({ data, shape }) => fromArray(Float32Array.from(data), shape));
      const { output, saved } = forward(...tensors, { reverse, lengths: tensor(lengths, "i32") });
      const dy = fromArray(new Float32Array(output.size).fill(1), output.shape);
      const needs = { inputs: true, first: true, weight: true, bias: true };
      return [output, ...Object.values(backward(saved, dy, needs))];
    });
    const read = await Promise.all(all.map(async (t) => Array.from(await t.data())));
    for (const t of all) t.dispose();
    return read;
  };

  const compareRungs = (): void =>
    test.each([false, true])("each rung gives the reference and one gradient, reverse %s", async (reverse) => {
      const want = reference(lengths)(arrays[0]!, arrays[1]!, arrays[2]!, arrays[3]!, { reverse });
      const others: number[][][] = [];
      for (const rung of Object.keys(recurrentLadder.rungs)) {
        const got = await withRung("recurrent", rung, () => results(reverse));
        expectClose(got[0]!, want.data, { rtol: 1e-5, atol: 1e-5 }, rung);
        others.push(got);
      }
      expect(others[1]).toEqual(others[0]); // they add in one order
      // The derivative along a direction, by a central difference of the reference in float64.
      const directions = arrays.map(({ data }, i) => randomNormal(data.length, 50 + i));
      const along = (h: number): number => {
        const moved = arrays.map(({ shape, data }, i) => ndArray(shape, data.map((v, at) => v + h * directions[i]![at]!))); // prettier-ignore
        return reference(lengths)(moved[0]!, moved[1]!, moved[2]!, moved[3]!, { reverse }).data.reduce((a, b) => a + b);
      };
      const got = directions.map((d, i) => d.reduce((sum, v, at) => sum + v * others[0]![i + 1]![at]!, 0));
      const slope = (along(1e-5) - along(-1e-5)) / 2e-5;
      expect(Math.abs(got.reduce((a, b) => a + b) - slope) / Math.abs(slope)).toBeLessThan(1e-4);
    });
  compareRungs();
  withGpuKernels(compareRungs);
});

describe("recurrent layers", () => {
  withDevice();

  test("take one dispatch for a sequence of few units, one per step of many", () => {
    const { adapter } = device();
    expect(chooseRecurrent(adapter, { batch: 8, units: 64, steps: 50 }).name).toBe("sequence");
    expect(chooseRecurrent(adapter, { batch: 8, units: 1024, steps: 50 }).name).toBe("steps");
  });

  test("name what does not fit", () => {
    const call = (first: number[], weight: number[]) => () =>
      lstmSequence(zeros([3, 2, 16]), zeros(first), zeros(weight));
    expect(call([2, 2, 4], [12, 4])).toThrow("lstmSequence: weight is [12,4], not [16,4].");
    expect(call([1, 2, 4], [16, 4])).toThrow("lstmSequence: first is [1,2,4], not [2,2,4].");
    const lengths = tensor([1], "i32");
    expect(() => gruSequence(zeros([3, 2, 3]), zeros([1, 2, 1]), zeros([3, 1]), undefined, { lengths })).toThrow(
      "gruSequence: lengths is [1], not [2].",
    );
  });
});
