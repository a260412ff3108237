import { describe, expect, test } from "vitest";
import { Generator, uniformFloat } from "../../random.ts";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOp, drawnNear, withDevice } from "../../testing/check-op.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import { ones, zeros } from "../create/create.ts";
import { dropout } from "./dropout.ts";
import { dropoutReference } from "./dropout.reference.ts";

const state = { key: [3, 4], stream: [0, 1], blocks: 2 ** 32 - 2 } as const;

const words = (count: number): Uint32Array => new Generator(0).setState(state).words(count);

/** The reference draws its words from the same place in the stream, on the host. */
const drawn = (x: NdArray, { p, training }: { p: number; training?: boolean }): NdArray => {
  const keep = Array.from(words(x.data.length), (word) => (uniformFloat(word) >= p ? 1 : 0));
  return dropoutReference(x, keep, training === false ? 0 : p);
};
/** A generator that is always at the same place. */
const generator = Object.assign(new Generator(0), { draw: () => new Generator(0).setState(state).draw(0) });

checkOp(dropout, drawn, {
  cases: [
    { shapes: [[1]], args: [{ p: 0.5, generator }] },
    { shapes: [[3, 7]], args: [{ p: 0.3, generator }] },
    {
      shapes: [[3, 7]],
      args: [{ p: drawnNear(0.3, words(21)), generator }],
      note: "as drawn for an element: it is kept",
    },
    { shapes: [[2, 33]], args: [{ p: 0.9, generator }] },
    { shapes: [[5]], args: [{ p: 0, generator }] },
    { shapes: [[5]], args: [{ p: 1, generator }] },
    { shapes: [[5]], args: [{ p: 0.5, training: false, generator }] },
    { shapes: [[0, 3]], args: [{ p: 0.5, generator }] },
  ],
});

describe("dropout", () => {
  withDevice();

  test("drops about p of the elements, others at every call, the same after the same seed", async () => {
    const source = new Generator(1);
    const x = ones([50, 999]);
    const [a, b] = [
      await dropout(x, { p: 0.1, generator: source }).data(),
      await dropout(x, { p: 0.1, generator: source }).data(),
    ];
    const share = a.filter((v) => v === 0).length / a.length;
    expect(Math.abs(share - 0.1)).toBeLessThan(0.007);
    expect(a.find((v) => v !== 0)).toBe(Math.fround(1 / 0.9));
    expect(b).not.toEqual(a);
    expect(await dropout(x, { p: 0.1, generator: source.seed(1) }).data()).toEqual(a);
  });

  test("backward draws what forward drew, wherever the generator is by then", async () => {
    const source = new Generator(5);
    const { output, saved } = dropout.definition.forward(ones([4097]), { p: 0.4, generator: source });
    source.words(1000);
    const backward = dropout.definition.backward as (saved: unknown, dy: Tensor) => { x: Tensor };
    expect(await backward(saved, ones([4097])).x.data()).toEqual(await output.data());
  });

  test("a mask that is given", async () => {
    const mask = fromArray([true, false, true], [3], "bool");
    expect(await dropout(tensor([1, NaN, -4]), { p: 0.5, mask }).toArray()).toEqual([2, NaN, -8]); // 0 · NaN
    expect(await dropout(tensor([1, 2, -4]), { p: 0.5, mask }).toArray()).toEqual([2, 0, -8]);
    const every = Array.from({ length: 300 }, (_, i) => i % 3 === 0);
    const kept = await dropout(ones([300]), { p: 0.5, mask: fromArray(every, [300], "bool") }).toArray();
    expect(kept).toEqual(every.map((is) => (is ? 2 : 0)));
    expect(await dropout(tensor([1, Infinity, -Infinity]), { p: 1 }).toArray()).toEqual([0, NaN, NaN]);
  });

  test("errors", () => {
    expect(() => dropout(zeros([2]), { p: 1.5 })).toThrow("dropout: p is 1.5");
    expect(() => dropout(zeros([2]), { mask: zeros([3]) })).toThrow("dropout: the mask is [3], x [2]");
    expect(() => dropout(zeros([2], { dtype: "i32" }))).toThrow("dropout: x is i32");
  });
});
