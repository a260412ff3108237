import { describe, expect, test } from "vitest";
import { tensor } from "../../factories.ts";
import { checkOp, expectClose, withDevice } from "../../testing/check-op.ts";
import { solveLeft, solveTriangular } from "./solve-triangular.ts";
import { solveTriangularReference } from "./solve-triangular.reference.ts";

/** A matrix with a diagonal away from 0. */
const map = (v: number, input: number): number => (input === 0 ? 1 + Math.abs(v) / 4 : v);

checkOp(solveLeft, solveTriangularReference, {
  cases: [true, false].flatMap((upper) =>
    [true, false].flatMap((unit) => [
      { shapes: [[1, 1], [1, 1]], args: [upper, unit], map },
      { shapes: [[5, 5], [5, 3]], args: [upper, unit], map },
      { shapes: [[2, 4, 4], [2, 4, 33]], args: [upper, unit], map },
      { shapes: [[0, 3, 3], [0, 3, 2]], args: [upper, unit], map },
    ]),
  ),
}); // prettier-ignore

describe("solveTriangular", () => {
  withDevice();

  test("the other triangle is not looked at, leading dimensions broadcast, x on either side", async () => {
    const a = tensor([[2, NaN], [1, 4]]); // prettier-ignore
    expectClose(await solveTriangular(a, tensor([[2], [9]]), { upper: false }).data(), [1, 2], { rtol: 1e-6, atol: 0 }, "a x = b"); // prettier-ignore
    const both = solveTriangular(
      a,
      tensor([
        [[2], [9]],
        [[4], [2]],
      ]),
      { upper: false },
    );
    expectClose(await both.data(), [1, 2, 2, 0], { rtol: 1e-6, atol: 0 }, "broadcast");
    const left = solveTriangular(a, tensor([[4, 8]]), { upper: false, left: false }); // [1, 2] a = [4, 8]
    expectClose(await left.data(), [1, 2], { rtol: 1e-6, atol: 0 }, "x a = b");
    expect(() => solveTriangular(a, tensor([[1]]), { upper: true })).toThrow("solveTriangular: a is [2,2], b [1,1].");
    expect(() => solveTriangular(a, a, {} as never)).toThrow("solveTriangular: upper is missing");
  });
});
