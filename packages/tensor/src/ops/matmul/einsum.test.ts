import { describe, expect, test } from "vitest";
import { fromArray, tensor } from "../../factories.ts";
import { expectClose, randomNormal, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { zeros } from "../create/create.ts";
import { einsum, einsumPlan, tensordot } from "./einsum.ts";

/** Every combination of the letters' values, in plain loops. */
function einsumReference(terms: string[], output: string, operands: NdArray[]): NdArray {
  const sizes = new Map<string, number>();
  terms.forEach((term, i) => [...term].forEach((name, d) => sizes.set(name, operands[i]!.shape[d]!)));
  const names = [...sizes.keys()];
  const at = (term: string, values: Map<string, number>): number =>
    [...term].reduce((place, name) => place * sizes.get(name)! + values.get(name)!, 0);
  const y = ndArray(
    [...output].map((name) => sizes.get(name)!),
    new Float64Array([...output].reduce((n, name) => n * sizes.get(name)!, 1)),
  );
  const visit = (d: number, values: Map<string, number>): void => {
    if (d < names.length) {
      for (let v = 0; v < sizes.get(names[d]!)!; v++) visit(d + 1, values.set(names[d]!, v));
      return;
    }
    y.data[at(output, values)]! += terms.reduce(
      (product, term, i) => product * operands[i]!.data[at(term, values)]!,
      1,
    );
  };
  visit(0, new Map());
  return y;
}

describe("einsum", () => {
  withDevice();
  const given = (shape: number[], seed: number): NdArray =>
    ndArray(
      shape,
      Float32Array.from(
        randomNormal(
          shape.reduce((a, b) => a * b, 1),
          seed,
        ),
      ),
    );

  test.each([
    ["ij,jk->ik", [[3, 4], [4, 5]]],
    ["bij,bjk->bik", [[2, 3, 4], [2, 4, 5]]],
    ["bhqd,bhkd->bhqk", [[2, 2, 3, 4], [2, 2, 5, 4]]],
    ["ij,ij->", [[3, 4], [3, 4]]],
    ["ij->ji", [[3, 4]]],
    ["iij->j", [[3, 3, 4]]],
    ["i,j->ij", [[3], [4]]],
    ["bn,anm,bm->ba", [[2, 3], [4, 3, 5], [2, 5]]],
    ["ijk,jl,klm->im", [[2, 3, 4], [3, 2], [4, 2, 3]]],
    ["abc,cd->da", [[2, 3, 4], [4, 5]]],
  ])("%s", async (equation, shapes) => {
    const operands = shapes.map(given);
    const [left, output] = equation.split("->") as [string, string];
    const want = einsumReference(left.split(","), output, operands);
    const y = einsum(equation, operands.map(({ data, shape }) => fromArray(data, shape)));
    expect(y.shape).toEqual(want.shape);
    expectClose(await y.data(), want.data, { rtol: 1e-5, atol: 1e-5 }, equation);
  }); // prettier-ignore

  test("without an arrow, with dots, and with sizes of 1", async () => {
    const x = tensor([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
    expect(await einsum("ba", [x]).toArray()).toEqual([[1, 4], [2, 5], [3, 6]]); // prettier-ignore
    expect(await einsum("ii", [tensor([[1, 2], [3, 4]])]).item()).toBe(5); // prettier-ignore
    expect(await einsum("...j->...", [x]).toArray()).toEqual([6, 15]);
    expect(await einsum("...j->j", [x]).toArray()).toEqual([5, 7, 9]);
    expect(einsum("...ij,...jk", [zeros([5, 1, 2, 3]), zeros([4, 3, 6])]).shape).toEqual([5, 4, 2, 6]);
    expect(await einsum("ij,ij->ij", [x, tensor([[10], [20]])]).toArray()).toEqual([[10, 20, 30], [80, 100, 120]]); // prettier-ignore
    expect(einsum("bA,Ac", [zeros([2, 3]), zeros([3, 4])]).shape).toEqual([2, 4]);
  });

  test("its plan", () => {
    expect(einsumPlan("bhqd,bhkd->bqhk", [[2, 3, 4, 8], [2, 3, 5, 8]])).toEqual([
      "reshape [2,3,4,8] -> [6,4,8]",
      "permute to 0, 1, 3, 2 [2,3,5,8] -> [2,3,8,5]",
      "reshape [2,3,8,5] -> [6,8,5]",
      "matmul [6,4,8] [6,8,5] -> [6,4,5]",
      "reshape [6,4,5] -> [2,3,4,5]",
      "permute to 0, 2, 1, 3 [2,3,4,5] -> [2,4,3,5]",
    ]); // prettier-ignore
  });

  test("refuses what doesn't fit", () => {
    const x = zeros([2, 3]);
    expect(() => einsum("ij,jk->ik", [x])).toThrow('einsum: "ij,jk->ik" for [2,3]: 2 terms for 1 operands');
    expect(() => einsum("ijk->i", [x])).toThrow('"ijk" has not as many dimensions as 2');
    expect(() => einsum("ij,ij->i", [x, zeros([4, 3])])).toThrow("i is 2 and 4 in [2,3], [4,3]");
    expect(() => einsum("ij->k", [x])).toThrow("the result has each of its letters once, and none that no operand has");
    expect(() => einsum("i j > k", [x])).toThrow("is not an equation such as");
  });

  test("tensordot", async () => {
    const [a, b] = [tensor([[1, 2], [3, 4]]), tensor([[5, 6], [7, 8]])]; // prettier-ignore
    expect(await tensordot(a, b).item()).toBe(70);
    expect(await tensordot(a, b, { dims: 1 }).toArray()).toEqual([[19, 22], [43, 50]]); // prettier-ignore
    expect(await tensordot(a, b, { dims: [[0], [1]] }).toArray()).toEqual([[23, 31], [34, 46]]); // prettier-ignore
    expect(tensordot(a, b, { dims: 0 }).shape).toEqual([2, 2, 2, 2]);
  });
});
