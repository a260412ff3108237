// The simulated workgroups compute what the kernels do, step at lines that the WGSL has, and go wrong where a barrier is missing.
import { expect, test } from "vitest";
import { attentionReferenceWithGradients } from "../../../../packages/tensor/src/ops/attention/attention.reference.ts";
import { matmulReference } from "../../../../packages/tensor/src/ops/matmul/matmul.reference.ts";
import { ndArray } from "../../../../packages/tensor/src/testing/nd-array.ts";
import { ATTENTION_BARRIERS, attentionInputs, attentionModel, D, T, type AttentionOptions } from "./attention.ts";
import { MATMUL_BARRIERS, matmulInputs, matmulModel, N, type MatmulOptions } from "./matmul.ts";
import { lineOf, type Model } from "./model.ts";
import { onlineSoftmax, softmaxMean } from "./online.ts";
import { bitsOf, sumByOwner } from "./owners.ts";
import { costOf } from "./workgroup.ts";

/** What a model's steps leave in a memory. */
function result({ memories, steps }: Model, name: string): number[] {
  const data = memories.find((m) => m.name === name)!.data.slice();
  for (const { kind, memory, accesses } of steps)
    if (kind === "write" && memory === name) for (const { index, value } of accesses) data[index] = value;
  return Array.from(data);
}

const wrongCells = (model: Model): number =>
  result(model, model.expected.memory).filter((v, i) => {
    const want = model.expected.data[i]!;
    return !Number.isNaN(want) && !(Math.abs(v - want) <= 1e-12);
  }).length;

function expectLines({ code, steps }: Model): void {
  for (const { at } of steps) {
    const [text, nth = "0"] = at.split("#");
    expect(() => lineOf(code, text!, Number(nth)), at).not.toThrow();
  }
}

const matmulOptions: MatmulOptions = {
  kernel: "workgroupTile",
  group: 0,
  transposeA: false,
  padded: true,
  subgroup: 8,
  without: [],
};

test.each(["naive", "workgroupTile", "registers"] as const)("matmul's %s kernel gives A · B", (kernel) => {
  const { a, b } = matmulInputs();
  const want = matmulReference(ndArray([N, N], a), ndArray([N, N], b)).data;
  for (const transposeA of kernel === "registers" ? [false] : [false, true]) {
    for (const subgroup of [1, 4, 8, 16]) {
      const c = new Float64Array(N * N).fill(NaN);
      for (const group of kernel === "registers" ? [0] : [0, 1, 2, 3]) {
        const model = matmulModel({ ...matmulOptions, kernel, group, transposeA, subgroup });
        expectLines(model);
        result(model, "c").forEach((v, i) => {
          if (!Number.isNaN(model.expected.data[i])) c[i] = v;
        });
        expect(wrongCells(model)).toBe(0);
      }
      want.forEach((v, i) => expect(Math.abs(c[i]! - v)).toBeLessThan(1e-12));
    }
  }
});

test("without a barrier, some cells of C are wrong, unless the whole workgroup runs in lockstep", () => {
  for (const kernel of ["workgroupTile", "registers"] as const)
    for (const missing of MATMUL_BARRIERS[kernel]) {
      const options = { ...matmulOptions, kernel, without: [missing] };
      expect(wrongCells(matmulModel(options)), `${kernel}: ${missing}`).toBeGreaterThan(0);
      if (kernel === "workgroupTile") expect(wrongCells(matmulModel({ ...options, subgroup: 16 }))).toBe(0);
    }
});

test("a tile's longer line keeps a column in different banks", () => {
  const turns = (padded: boolean): number =>
    Math.max(
      ...matmulModel({ ...matmulOptions, subgroup: 4, transposeA: true, padded })
        .steps.filter(({ memory, kind }) => memory === "a_tile" && kind === "write")
        .map((step) => costOf(step, "workgroup", { line: 8, banks: 8 }).turns),
    );
  expect([turns(false), turns(true)]).toEqual([2, 1]);
});

test("what a naive workgroup reads: A a row at a time, B by whole lines", () => {
  const { steps } = matmulModel({ ...matmulOptions, kernel: "naive" });
  const reads = (name: string) => steps.filter(({ memory, kind }) => memory === name && kind === "read");
  expect(reads("a").length).toBe(16); // eight steps of k, two subgroups
  expect(costOf(reads("a")[0]!, "storage", { line: 8, banks: 8 })).toMatchObject({ elements: 1, used: 1 / 8 });
  expect(costOf(reads("b")[0]!, "storage", { line: 8, banks: 8 })).toMatchObject({ elements: 8, used: 1 });
});

const attentionOptions: AttentionOptions = { group: 0, length: T, forgetToShrink: false, subgroup: 4, without: [] };

test("attention's workgroups give softmax(q kᵀ / √D) v, for every number of keys", () => {
  const { q, k, v } = attentionInputs();
  for (let length = 1; length <= T; length++) {
    const shape = [1, 1, T, D];
    const mask = ndArray(
      [1, 1, T, T],
      Array.from({ length: T * T }, (_, n) => Number(n % T < length)),
    );
    const { y } = attentionReferenceWithGradients(ndArray(shape, q), ndArray(shape, k), ndArray(shape, v), mask, {
      boolean: true,
    });
    for (const group of [0, 1]) {
      for (const subgroup of [1, 4, 8]) {
        const model = attentionModel({ ...attentionOptions, group, length, subgroup });
        expectLines(model);
        const got = result(model, "y");
        for (let i = group * 16; i < group * 16 + 16; i++) expect(Math.abs(got[i]! - y.data[i]!)).toBeLessThan(1e-12);
        expect(wrongCells(model)).toBe(0);
      }
    }
  }
});

test("tiles beyond the last key are skipped", () => {
  const readsOf = (length: number) =>
    new Set(attentionModel({ ...attentionOptions, length }).steps.filter(({ memory, kind }) => memory === "k" && kind === "read").flatMap(({ accesses }) => accesses.map(({ index }) => Math.floor(index / D)))).size; // prettier-ignore
  expect([1, 4, 5, 8].map(readsOf)).toEqual([4, 4, 8, 8]);
});

test("attention goes wrong without a barrier, and where it forgets to shrink", () => {
  for (const nth of ATTENTION_BARRIERS.keys()) {
    const model = attentionModel({ ...attentionOptions, subgroup: 1, without: [nth] });
    expect(wrongCells(model), ATTENTION_BARRIERS[nth]!.text).toBeGreaterThan(0);
  }
  expect(wrongCells(attentionModel({ ...attentionOptions, forgetToShrink: true }))).toBeGreaterThan(0);
});

test("online softmax agrees with softmax of all scores; without shrinking it doesn't", () => {
  const [scores, values] = [
    [1, 3, 2, -4, 5],
    [1, 2, 3, 4, 5],
  ];
  const last = onlineSoftmax(scores, values).at(-1)!;
  const l = last.terms.reduce((a, b) => a + b);
  const want =
    scores.reduce((sum, s, j) => sum + Math.exp(s) * values[j]!, 0) / scores.reduce((sum, s) => sum + Math.exp(s), 0);
  expect(last.o / l).toBeCloseTo(want, 12);
  expect(softmaxMean(scores, values)).toBeCloseTo(want, 12);
  expect(onlineSoftmax(scores.slice(0, 3), values).map(({ terms }) => terms.reduce((a, b) => a + b, 0))).toEqual([0, 1, Math.exp(-2) + 1, Math.exp(-2) + 1 + Math.exp(-1)]); // prettier-ignore
  const forgetful = onlineSoftmax(scores, values, { forget: true }).at(-1)!;
  expect(Math.abs(forgetful.o / forgetful.terms.reduce((a, b) => a + b) - want)).toBeGreaterThan(0.1);
});

test("an owner of keys gives the same bits in every run; atomics differ in the last digits, plain additions lose some", () => {
  const ds = Array.from({ length: 16 }, (_, i) => Array.from({ length: 4 }, (_, j) => Math.sin(3 * i + 7 * j)));
  const q = Array.from({ length: 16 }, (_, i) => Math.cos(5 * i));
  const want = [0, 1, 2, 3].map((j) => ds.reduce((sum, row, i) => sum + row[j]! * q[i]!, 0));
  const runs = (owner: "keys" | "atomics" | "plain") =>
    Array.from({ length: 5 }, (_, run) => sumByOwner(ds, q, owner, run));
  const different = (owner: "keys" | "atomics" | "plain") =>
    new Set(runs(owner).map((dk) => dk.map(bitsOf).join())).size;
  const error = (owner: "keys" | "atomics" | "plain") =>
    Math.max(
      ...runs(owner)
        .flat()
        .map((v, n) => Math.abs(v - want[n % 4]!)),
    );
  expect(different("keys")).toBe(1);
  expect(different("atomics")).toBeGreaterThan(1);
  expect(error("keys")).toBeLessThan(1e-6);
  expect(error("atomics")).toBeLessThan(1e-6);
  expect(error("plain")).toBeGreaterThan(0.1);
});

test("the bits of an f32", () => expect([1, -2, 0.1].map(bitsOf)).toEqual(["3f800000", "c0000000", "3dcccccd"]));
