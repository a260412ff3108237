import { describe, expect, test } from "vitest";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { defineOp } from "../../define-op.ts";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { arange, zeros } from "../create/create.ts";
import { concat, stack } from "./concat.ts";
import { diag, diagEmbed, diagonal, trace } from "./diagonal.ts";
import { expand } from "./expand.ts";
import { flip } from "./flip.ts";
import { cross, meshgrid, outer } from "./grid.ts";
import { permute, transpose } from "./permute.ts";
import { repeat } from "./repeat.ts";
import { flatten, reshape, squeeze, unsqueeze } from "./reshape.ts";
import { roll } from "./roll.ts";
import * as reference from "./shape.reference.ts";
import { constantPad, pad, type PadOptions } from "./pad.ts";
import { chunk, select, slice, split, unbind } from "./slice.ts";
import { tril, triu } from "./triangle.ts";

checkOp(permute, reference.permuteReference, {
  cases: [
    { shapes: [[]], args: [[]] },
    { shapes: [[2, 5, 3, 8]], args: [[0, 2, 1, 3]], note: "[B,T,H,D] to [B,H,T,D], four at a time" },
    { shapes: [[3, 1, 7]], args: [[2, 1, 0]] },
    { shapes: [[3, 5, 7]], args: [[1, 2, 0]] },
    { shapes: [[2, 3, 1, 2, 2, 1, 3, 2]], args: [[7, 2, 0, 6, 4, 1, 3, 5]] },
    { shapes: [[0, 4]], args: [[1, 0]] },
  ],
});

checkOp(expand, reference.expandReference, {
  cases: [
    { shapes: [[]], args: [[2, 3]] },
    { shapes: [[2, 1, 4]], args: [[3, 2, 5, 4]] },
    { shapes: [[3, 1]], args: [[3, 0]] },
    { shapes: [[3, 4]], args: [[3, 4]] },
  ],
});

checkOp(repeat, reference.repeatReference, {
  cases: [
    { shapes: [[3]], args: [[2, 2]] },
    { shapes: [[2, 4, 3]], args: [[3, 1, 2]] },
    { shapes: [[2, 1, 2, 1, 2, 1, 2, 2]], args: [[1, 2, 2, 1, 2, 2, 1, 2]] },
    { shapes: [[2, 2]], args: [[0, 2]] },
  ],
});

checkOp(flip, reference.flipReference, {
  cases: [
    { shapes: [[5]], args: [[0]] },
    { shapes: [[3, 2, 8]], args: [[0, 1]] },
    { shapes: [[3, 0]], args: [[0, 1]] },
  ],
});

checkOp(slice, reference.sliceReference, {
  cases: [
    { shapes: [[9, 8]], args: [[[1, 8, 3], [4, 8, 1]]] }, // prettier-ignore
    { shapes: [[4, 7]], args: [[[2, 2, 1], [0, 7, 2]]] }, // prettier-ignore
  ],
});

checkOp(constantPad, reference.padReference, {
  cases: [
    { shapes: [[3, 4]], args: [[1, 2, 0, 3], { value: -1.5 }] },
    { shapes: [[3, 4]], args: [[-1, 2, 3, -2], { value: 7 }] },
    { shapes: [[0, 4]], args: [[0, 0, 1, 1]] },
    { shapes: [[2, 3]], args: [[-1, -2]] },
    { shapes: [[2, 3]], args: [[0, 0]] },
  ],
});

const triangles = [
  { shapes: [[4, 6]] },
  { shapes: [[20, 12]], note: "several workgroups" },
  { shapes: [[2, 5, 3]], args: [{ diagonal: -1 }] },
  { shapes: [[3, 3]], args: [{ diagonal: 2 }] },
  { shapes: [[0, 3]] },
];
checkOp(tril, reference.trilReference, { cases: triangles });
checkOp(triu, reference.triuReference, { cases: triangles });

const concatTwo = defineOp("concat of two", {
  forward: (a: Tensor, b: Tensor, dim: number) => concat.definition.forward([a, b], { dim }),
  backward: concat.definition.backward,
});
checkOp(concatTwo, reference.concatReference, {
  cases: [
    { shapes: [[3], [2]], args: [0] }, // prettier-ignore
    { shapes: [[2, 4, 3], [2, 1, 3]], args: [1] }, // prettier-ignore
    { shapes: [[2, 4, 4], [2, 8, 4]], args: [1] }, // prettier-ignore
    { shapes: [[0, 3], [2, 3]], args: [0] }, // prettier-ignore
  ],
});

describe("shape", () => {
  withDevice();

  test("reshape shares memory and infers one size", async () => {
    const x = arange(12);
    const y = reshape(x, [2, -1]);
    expect(y.shape).toEqual([2, 6]);
    expect(y.buffer).toBe(x.buffer);
    expect(reshape(zeros([0, 3]), [-1, 5]).shape).toEqual([0, 5]);
    expect(reshape(arange(4), [4, -1]).shape).toEqual([4, 1]);
    expect(() => reshape(x, [5, -1])).toThrow("reshape: 12 elements ([12]) don't fill the shape [5,-1]");
    expect(() => reshape(x, [-1, -1])).toThrow("at most one is -1");
    expect(reshape(arange(6, undefined, 1, { dtype: "f16" }), [2, 3]).dtype).toBe("f16");
  });

  test("unsqueeze, squeeze, flatten, select, transpose", async () => {
    const x = arange(6).alias([2, 1, 3]);
    expect(unsqueeze(x, -1).shape).toEqual([2, 1, 3, 1]);
    expect(unsqueeze(x, 0).shape).toEqual([1, 2, 1, 3]);
    expect(squeeze(x).shape).toEqual([2, 3]);
    expect(squeeze(x, 0).shape).toEqual([2, 1, 3]);
    expect(squeeze(x, 1).shape).toEqual([2, 3]);
    expect(flatten(x, { startDim: 1 }).shape).toEqual([2, 3]);
    expect(flatten(arange(1).alias([])).shape).toEqual([1]);
    expect(await select(x, 2, -1).toArray()).toEqual([[2], [5]]);
    expect(await transpose(x, 0, -1).toArray()).toEqual([[[0, 3]], [[1, 4]], [[2, 5]]]);
    expect(() => select(x, 0, 2)).toThrow("select: index 2 is out of range for dimension 0 of [2,1,3]");
  });

  test("split and stack", async () => {
    const x = arange(10).alias([5, 2]);
    expect((await Promise.all(split(x, 2).map((t) => t.toArray())))[2]).toEqual([[8, 9]]);
    expect(split(x, [1, 0, 1], { dim: 1 }).map((t) => t.shape)).toEqual([[5, 1], [5, 0], [5, 1]]); // prettier-ignore
    expect(() => split(x, [1, 2])).toThrow("split: sizes [1,2] don't add up to 5");
    const rows = stack([tensor([1, 2]), tensor([3, 4])], { dim: -1 });
    expect(await rows.toArray()).toEqual([[1, 3], [2, 4]]); // prettier-ignore
    expect(() => stack([tensor([1]), tensor([1, 2])])).toThrow("stack: [2] among tensors of [1]");
  });

  test("other dtypes keep theirs", async () => {
    const mask = fromArray([true, false, true, true], [2, 2], "bool");
    expect(await transpose(mask, 0, 1).toArray()).toEqual([[true, true], [false, true]]); // prettier-ignore
    const ids = fromArray([-7, 2 ** 31 - 1], [2], "i32");
    expect(await pad(ids, [1, 0], { value: -1 }).toArray()).toEqual([-1, -7, 2 ** 31 - 1]);
    expect(await tril(repeat(ids, [2, 1])).toArray()).toEqual([[-7, 0], [-7, 2 ** 31 - 1]]); // prettier-ignore
    expect(await flip(fromArray([1, 2 ** 32 - 1], [2], "u32"), [-1]).toArray()).toEqual([2 ** 32 - 1, 1]);
    expect(await concat([mask, mask], { dim: 1 }).toArray()).toHaveLength(2);
    expect(await flip(fromArray([1.5, NaN, Infinity], [3]), [0]).toArray()).toEqual([Infinity, NaN, 1.5]);
  });

  test("slices by Python's rules", async () => {
    const x = arange(10);
    expect(await slice(x, [[-3]]).toArray()).toEqual([7, 8, 9]);
    expect(await slice(x, [[null, -8]]).toArray()).toEqual([0, 1]);
    expect(await slice(x, [[1, 100, 4]]).toArray()).toEqual([1, 5, 9]);
    expect(slice(x, [[5, 2]]).shape).toEqual([0]);
    expect(slice(x, []).shape).toEqual([10]);
    expect(() => slice(x, [[null, null, -1]])).toThrow("slice: step -1");
  });

  test("more than 65,535 workgroups", async () => {
    const [rows, cols] = [2050, 2051];
    const y = await transpose(arange(rows * cols).alias([rows, cols]), 0, 1).data();
    expect(y.every((value, i) => value === (i % rows) * cols + Math.floor(i / rows))).toBe(true);
  });

  test("errors name the op and the shapes", () => {
    const x = zeros([2, 3]);
    expect(() => permute(x, [0, 0])).toThrow("permute: dims [0,0] don't order the 2 dimensions of [2,3]");
    expect(() => expand(x, [2, 4])).toThrow("expand: [2,3] doesn't broadcast to [2,4]");
    expect(() => repeat(x, [2])).toThrow("repeat: repeats [2] for [2,3]");
    expect(() => flip(x, [2])).toThrow("flip: dim 2 is out of range");
    expect(() => concat([x, zeros([3, 2])])).toThrow("concat: [3,2] f32 doesn't fit [2,3] f32");
    expect(() => pad(x, [1])).toThrow("pad: [1] for [2,3]");
    expect(() => tril(zeros([3]))).toThrow("tril: [3] is not a matrix");
  });

  test("errors of slices, pieces, margins and sizes", () => {
    const [x, one] = [zeros([2, 3]), tensor(1)];
    expect(() => slice(x, [[], [], []])).toThrow("slice: 3 slices for 2 dimensions ([2,3])");
    expect(() => slice(x, [[null, null, 1.5]])).toThrow("slice: slices[0] is [null, null, 1.5], not [start, stop] or");
    for (const index of [-3, 2, 0.5, NaN])
      expect(() => select(x, 0, index)).toThrow(`select: index ${index} is out of range for dimension 0 of [2,3]`);
    expect(() => select(one, 0, 0)).toThrow("select: index 0 is out of range");
    expect(() => split(one, 1)).toThrow("split: a scalar has no dimension to cut");
    for (const size of [0, -1, 1.5]) expect(() => split(x, size)).toThrow(`split: pieces of size ${size}.`);
    for (const sizes of [[1, 2], [3, -1], [1.5, 0.5], []])
      // prettier-ignore
      expect(() => split(x, sizes)).toThrow(`split: sizes [${sizes.join()}] don't add up to 2, dimension 0 of [2,3]`);
    for (const amounts of [[1, 1, 1, 1, 1, 1], [1], [0.5, 0.5]])
      // prettier-ignore
      expect(() => pad(x, amounts)).toThrow(`pad: [${amounts.join()}] for [2,3]: two whole numbers`);
    expect(() => pad(x, [-2, -2])).toThrow("pad: [-2,-2] crops more than [2,3] has");
    expect(() => flip(x, [1, -1])).toThrow("flip: dims [1,-1] name a dimension twice");
    expect(() => reshape(x, [-1, -1])).toThrow("reshape: [-1,-1]: of the sizes at most one is -1");
    expect(() => reshape(zeros([0, 3]), [0, -1])).toThrow("beside a size of 0 the one that is -1 could be any");
    for (const shape of [[4], [-1, 4], [7]])
      // prettier-ignore
      expect(() => reshape(x, shape)).toThrow(`reshape: 6 elements ([2,3]) don't fill the shape [${shape.join()}]`);
    expect(() => flatten(x, { startDim: 1, endDim: 0 })).toThrow("flatten: startDim 1 lies behind endDim 0 in [2,3]");
    expect(() => tril(x, { diagonal: 0.5 })).toThrow("tril: diagonal");
    const deep = [2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1];
    expect(() =>
      permute(
        zeros(deep),
        deep.map((_, d) => deep.length - 1 - d),
      ),
    ).not.toThrow(); // neighbours of size 1 don't count
    for (const other of [zeros([3]), zeros([2, 4]), zeros([3, 3]), zeros([2, 3, 1])])
      expect(() => stack([x, other])).toThrow("among tensors of [2,3]: shapes have to be the same");
    expect(() => stack([])).toThrow("stack: no tensors given");
    const many = new Array<number>(17).fill(2);
    const reversed = many.map((_, d) => 16 - d);
    expect(() => permute(zeros(many), reversed)).toThrow(/has more than 16 dimensions. Reshape it to fewer/);
  });

  test("negative places count from the end, scalars have one element in any order, and -1 keeps a size", async () => {
    const x = arange(6).alias([2, 3]);
    expect(await select(x, -1, -3).toArray()).toEqual([0, 3]);
    expect(await select(x, 0, -1).toArray()).toEqual([3, 4, 5]);
    expect(await flip(tensor(7), [0]).toArray()).toBe(7);
    expect(await flip(tensor(7), [-1]).toArray()).toBe(7);
    expect(expand(zeros([2, 1]), [4, -1, 3]).shape).toEqual([4, 2, 3]);
    expect(flatten(tensor(7)).shape).toEqual([1]);
    expect(squeeze(zeros([1, 2, 1]), 1).shape).toEqual([1, 2, 1]);
    expect(squeeze(zeros([1, 2, 1]), -1).shape).toEqual([1, 2]);
    expect((await Promise.all(split(x, 2, { dim: 1 }).map((piece) => piece.toArray())))).toEqual([[[0, 1], [3, 4]], [[2], [5]]]); // prettier-ignore
    expect(split(zeros([0, 2]), 3).map(({ shape }) => shape)).toEqual([[0, 2]]);
    const around = (mode: NonNullable<PadOptions["mode"]>) => pad(tensor([[1, 2, 3], [4, 5, 6]]), [2, 1, 1, 0], { mode }).toArray(); // prettier-ignore
    expect(await around("reflect")).toEqual([[6, 5, 4, 5, 6, 5], [3, 2, 1, 2, 3, 2], [6, 5, 4, 5, 6, 5]]); // prettier-ignore
    expect(await around("replicate")).toEqual([[1, 1, 1, 2, 3, 3], [1, 1, 1, 2, 3, 3], [4, 4, 4, 5, 6, 6]]); // prettier-ignore
    expect(await around("circular")).toEqual([[5, 6, 4, 5, 6, 4], [2, 3, 1, 2, 3, 1], [5, 6, 4, 5, 6, 4]]); // prettier-ignore
    expect(() => pad(x, [3, 0], { mode: "reflect" })).toThrow(
      'pad: 3 and 0 elements for the 3 of dimension 1: mode "reflect" takes 0 to 2 on a side.',
    );
    expect(() => pad(x, [-1, 0], { mode: "circular" })).toThrow('mode "circular" takes 0 to 3 on a side');
    const same = pad(x, [0, 0]);
    expect(same.storage).toBe(x.storage); // nothing is added, so nothing is copied
    expect(pad(x, [0, 1]).storage).not.toBe(x.storage);
  });
});

checkOp(diagonal, reference.diagonalReference, {
  cases: [
    { shapes: [[4, 4]] },
    { shapes: [[3, 5]], args: [{ offset: 2 }] },
    { shapes: [[5, 3]], args: [{ offset: -1 }] },
    { shapes: [[2, 3, 4, 5]], args: [{ offset: 1, dim1: 3, dim2: 1 }] },
    { shapes: [[3, 3]], args: [{ offset: 3 }], note: "nothing" },
  ],
});

checkOp(diagEmbed, reference.diagEmbedReference, {
  cases: [
    { shapes: [[4]] },
    { shapes: [[2, 3]], args: [{ offset: -2 }] },
    { shapes: [[2, 3, 4]], args: [{ offset: 1, dim1: 2, dim2: 0 }] },
  ],
});

checkOp(roll, reference.rollReference, {
  cases: [
    { shapes: [[7]], args: [[2], [0]] },
    { shapes: [[3, 8]], args: [[-9], [1]] },
    { shapes: [[3, 4, 5]], args: [[1, 13], [0, 2]] },
    { shapes: [[0, 4]], args: [[3], [0]] },
  ],
}); // prettier-ignore

describe("pieces, diagonals and grids", () => {
  withDevice();

  test("chunk, unbind and roll of everything", async () => {
    const x = arange(0, 7);
    expect(await Promise.all(chunk(x, 3).map((p) => p.toArray()))).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect(chunk(arange(0, 5), 4).map((p) => p.shape)).toEqual([[2], [2], [1]]);
    expect(chunk(zeros([3, 0]), 2, { dim: 1 }).map((p) => p.shape)).toEqual([
      [3, 0],
      [3, 0],
    ]);
    const parts = unbind(tensor([[1, 2], [3, 4], [5, 6]]), { dim: -1 }); // prettier-ignore
    expect(await Promise.all(parts.map((p) => p.toArray()))).toEqual([[1, 3, 5], [2, 4, 6]]); // prettier-ignore
    expect(await roll(tensor([[1, 2], [3, 4]]), 1).toArray()).toEqual([[4, 1], [2, 3]]); // prettier-ignore
    expect(() => chunk(x, 0)).toThrow("chunk: 0 chunks");
    expect(() => roll(x, [1, 2], [0])).toThrow("roll: shifts [1,2] for dims [0]");
  });

  test("diag and trace", async () => {
    expect(await diag(tensor([1, 2]), { diagonal: 1 }).toArray()).toEqual([[0, 1, 0], [0, 0, 2], [0, 0, 0]]); // prettier-ignore
    const m = tensor([[1, 2, 3], [4, 5, 6]], "i32"); // prettier-ignore
    expect(await diag(m, { diagonal: 1 }).toArray()).toEqual([2, 6]);
    expect(await trace(m).item()).toBe(6);
    expect(() => diag(zeros([2, 2, 2]))).toThrow("diag: [2,2,2] is neither a vector nor a matrix");
    expect(() => diagonal(zeros([2, 2]), { dim2: 0 })).toThrow("diagonal: dimensions 0 and 0 of [2,2]");
  });

  test("meshgrid, outer and cross", async () => {
    const [a, b] = [tensor([1, 2]), tensor([5, 6, 7])];
    const grids = (indexing: "ij" | "xy") => Promise.all(meshgrid([a, b], { indexing }).map((g) => g.toArray()));
    expect(await grids("ij")).toEqual([[[1, 1, 1], [2, 2, 2]], [[5, 6, 7], [5, 6, 7]]]); // prettier-ignore
    expect(await grids("xy")).toEqual([[[1, 2], [1, 2], [1, 2]], [[5, 5], [6, 6], [7, 7]]]); // prettier-ignore
    expect(await outer(a, b).toArray()).toEqual([[5, 6, 7], [10, 12, 14]]); // prettier-ignore
    expect(await cross(tensor([1, 2, 3]), tensor([[4, 5, 6], [1, 0, 0]])).toArray()).toEqual([[-3, 6, -3], [0, 3, -2]]); // prettier-ignore
    expect(() => cross(a, b)).toThrow("cross: dimension -1 of [2] does not have 3 elements");
  });
});
