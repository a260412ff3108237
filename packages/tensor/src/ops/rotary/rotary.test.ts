import { describe, expect, test } from "vitest";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { tensor } from "../../factories.ts";
import { zeros } from "../create/create.ts";
import { countUp, rotary, rotaryAngles } from "./rotary.ts";
import { rotaryAnglesReference, rotaryReference } from "./rotary.reference.ts";

const constant = [1, 2]; // the angles
checkOp(rotary, rotaryReference, {
  cases: [
    { shapes: [[1, 1, 1, 2], [1, 1], [1, 1]], constant },
    { shapes: [[2, 5, 3, 6], [5, 3], [5, 3]], constant },
    { shapes: [[3, 7, 2, 8], [7, 4], [7, 4]], constant },
    { shapes: [[2, 0, 3, 4], [0, 2], [0, 2]], constant },
    { shapes: [[2, 5, 3, 7], [5, 2], [5, 2]], constant, note: "the first 4 of 7 elements" },
    { shapes: [[2, 5, 3, 6], [2, 5, 3], [2, 5, 3]], constant, note: "positions of each row" },
    { shapes: [[2, 5, 3, 6], [5, 3], [5, 3]], args: [{ interleaved: true }], constant },
    { shapes: [[3, 4, 1, 9], [3, 4, 3], [3, 4, 3]], args: [{ interleaved: true }], constant, note: "of 6 elements, by row" },
    { shapes: [[1, 2, 2, 3], [2, 0], [2, 0]], constant, note: "no pairs" },
  ],
}); // prettier-ignore

type Rotary = Parameters<typeof rotary.definition.forward>;
const learned = (x: Rotary[0], cosine: Rotary[1], sine: Rotary[2], options?: Rotary[3]) => {
  cosine.requiresGrad = sine.requiresGrad = true;
  return rotary.definition.forward(x, cosine, sine, options);
};
checkOp(
  { opName: "rotary by learned angles", definition: { ...rotary.definition, forward: learned } },
  rotaryReference,
  {
    cases: [
      { shapes: [[2, 5, 3, 7], [5, 2], [5, 2]] },
      { shapes: [[2, 5, 3, 6], [2, 5, 3], [2, 5, 3]] },
      { shapes: [[2, 5, 3, 7], [2, 5, 3], [2, 5, 3]], args: [{ interleaved: true }] },
    ],
  },
); // prettier-ignore

describe("rotaryAngles", () => {
  withDevice();

  test.each([
    [1, 2, 10_000],
    [9, 6, 20],
    [1100, 64, 160_000],
  ])("%i tokens, heads of %i, theta %i", async (T, D, theta) => {
    const { cosine, sine } = rotaryAngles(T, D, { theta });
    expect([cosine.shape, sine.shape]).toEqual([[T, D / 2], [T, D / 2]]); // prettier-ignore
    const want = rotaryAnglesReference(T, D, theta);
    const [c, s] = [await cosine.data(), await sine.data()];
    // An angle in f32 is off by up to half a unit in its last place, and t times what its frequency is off.
    const wrong = want.findIndex((w, e) => {
      const atol = 1e-6 + 4e-7 * Math.floor(e / (D / 2));
      return !(Math.abs(c[e]! - w.cosine) <= atol && Math.abs(s[e]! - w.sine) <= atol);
    });
    if (wrong >= 0) expect.fail(`element ${wrong}: ${c[wrong]} ${s[wrong]}, not ${JSON.stringify(want[wrong])}`);
  });

  test("of positions", async () => {
    const places = tensor([[3, 0], [9, 2]], "i32"); // prettier-ignore
    const got = rotaryAngles(places, 4, { theta: 100 });
    const all = rotaryAnglesReference(10, 4, 100);
    const want = [3, 0, 9, 2].flatMap((t) => [all[2 * t]!, all[2 * t + 1]!]);
    expect([got.cosine.shape, got.sine.shape]).toEqual([[2, 2, 2], [2, 2, 2]]); // prettier-ignore
    const [cosine, sine] = [await got.cosine.data(), await got.sine.data()];
    for (const [i, w] of want.entries()) {
      expect(cosine[i]).toBeCloseTo(w.cosine, 5);
      expect(sine[i]).toBeCloseTo(w.sine, 5);
    }
  });

  test("countUp", async () => {
    expect(await countUp(4).toArray()).toEqual([0, 1, 2, 3]);
    expect(await countUp(0).toArray()).toEqual([]);
    const many = await countUp(5000).data();
    expect(many.findIndex((v, i) => v !== i)).toBe(-1);
  });

  test("errors", () => {
    expect(() => rotaryAngles(3, 5)).toThrow("headDim 5 is odd");
    expect(() => rotaryAngles(3, 4, { theta: 0 })).toThrow("theta is 0");
    expect(() => rotary(zeros([1, 2, 3, 4]), zeros([2, 4]), zeros([2, 4]))).toThrow("rotary: x [1,2,3,4] of f32");
    expect(() => rotary(zeros([1, 2, 3, 4]), zeros([2, 3]), zeros([2, 3]))).toThrow("where R is at most D");
    expect(() => rotary(zeros([1, 2, 3, 4]), zeros([2, 2]), zeros([2, 1]))).toThrow("angles [2,2] and [2,1]");
  });
});
