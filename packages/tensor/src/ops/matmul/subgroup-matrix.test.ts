import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { autocast } from "../../autocast.ts";
import { f16Bits, f16Value } from "../../dtype.ts";
import { type AdapterInfo } from "../../runtime/adapter.ts";
import { destroy, device, init, problemWith } from "../../runtime/init.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { tensor } from "../../factories.ts";
import { add } from "../elementwise/binary.ts";
import { checkOp, withDevice, type OpCase } from "../../testing/check-op.ts";
import { chooseMatmul } from "./choose.ts";
import { forceRung } from "../ladders.ts";
import { matmulLadder } from "./ladder.ts";
import { subgroupMatrix } from "./rungs.matrix.ts";
import { type MatmulRung } from "./task.ts";
import { linearGeluReference } from "./linear.reference.ts";
import { linearGelu } from "./linear.ts";
import { checkLinearGradients } from "../../testing/linear-gradients.ts";
import { matmulReference } from "./matmul.reference.ts";
import { matmul } from "./matmul.ts";
import code from "./matmul-subgroup-matrix.wgsl";
import rowSums from "./row-sums-matrix.wgsl";
import { forms, tryMatmul } from "./trial.ts";

/**
 * The kernel in plain WGSL, for adapters without matrix units. A factor is a place in workgroup memory, the sums are an array that each
 * lane has a copy of. Where elements lie, tails, splits and epilogues are the kernel's own.
 */
function emulated(lanes: number): string {
  const replace: [RegExp, string][] = [
    [/^enable .*\n|^diagnostic.*\n/gm, ""],
    [/vec4<f16>\(/g, "quantizeToF16("],
    [/vec4<f16>/g, "vec4f"],
    [/, @builtin\(subgroup_id\) subgroup: u32\) {/, `) {\n  let subgroup = me / ${lanes}u;`],
    [/^alias Left = .*$/m, "struct Left { matrix: u32, row: u32, col: u32 }"],
    [/^alias Right = .*$/m, "struct Right { matrix: u32, row: u32, col: u32 }"],
    [/^alias Sums = .*$/m, "struct Sums { at: array<f32, MATRIX_M * MATRIX_N> }"],
    [/subgroupMatrixLoad<(\w+), row_major>\(&[ab]_tile\[(.*)\], 0u, (\w+)\)/g, "$1($2, 4u * $3, 1u)"],
    [/subgroupMatrixLoad<(\w+), col_major>\(&[ab]_tile\[(.*)\], 0u, (\w+)\)/g, "$1($2, 1u, 4u * $3)"],
    [/subgroupMatrixStore<row_major>\(&results\[subgroup\], 0u, /g, "store_sums(subgroup, "],
    [/subgroupMatrixMultiplyAccumulate/g, "multiply_accumulate"],
  ];
  let plain = code;
  for (const [what, by] of replace) {
    if (!plain.match(what)) throw new Error(`matmul-subgroup-matrix.wgsl has no ${what}`);
    plain = plain.replace(what, by);
  }
  return `${plain}
fn none() -> u32 { return params.splits / 0x10000u; } // 0, which the compiler can't know: it would unroll all loops
fn multiply_accumulate(left: Left, right: Right, sums: Sums) -> Sums {
  var m = sums;
  for (var i = 0u; i < MATRIX_M * MATRIX_N + none(); i++) {
    var sum = m.at[i];
    for (var k = 0u; k < MATRIX_K + none(); k++) {
      let a = i / MATRIX_N * left.row + k * left.col;
      let b = k * right.row + i % MATRIX_N * right.col;
      sum += a_tile[left.matrix][a / 4u][a % 4u] * b_tile[right.matrix][b / 4u][b % 4u];
    }
    m.at[i] = sum;
  }
  return m;
}
fn store_sums(subgroup: u32, sums: Sums, stride: u32) {
  var m = sums;
  for (var i = 0u; i < MATRIX_M * MATRIX_N + none(); i++) {
    results[subgroup][i / MATRIX_N * stride + i % MATRIX_N / 4u][i % 4u] = m.at[i];
  }
}
`;
}

/** The op inside autocast(). Its backward is made of the same products, which the forms below go through. */
const inHalf = <F extends (...args: never[]) => unknown>(op: { opName: string; definition: { forward: F } }) => ({
  opName: op.opName,
  definition: {
    forward: ((...args: never[]) => autocast(() => op.definition.forward(...args))) as F,
    backward: undefined,
  },
});

/** Numbers that f16 holds, and no subnormals: quantizeToF16() may make them 0. */
const half = (v: number): number => (Math.abs(v) < 2 ** -14 ? 0 : f16Value(f16Bits(v)));
const exact = { map: half, gradient: false, atol: 2e-5 } satisfies Partial<OpCase>;

const { adapter } = await init();
await destroy();

const flips = [{}, { transposeA: true }, { transposeB: true }, { transposeA: true, transposeB: true }];
const products = (batch: number[], M: number, K: number, N: number, note = ""): OpCase[] =>
  flips.map((flip) => ({
    shapes: [
      [...batch, ...(flip.transposeA ? [K, M] : [M, K])],
      [...batch, ...(flip.transposeB ? [N, K] : [K, N])],
    ],
    args: [flip],
    ...exact,
    note,
  }));

const cases: OpCase[] = [
  ...products([], 32, 32, 32, "whole tiles"),
  ...products([2], 132, 36, 68, "whole vectors"),
  ...products([2], 67, 35, 65, "nothing whole"),
  ...products([], 1, 1, 1),
  ...products([], 3, 0, 5, "an empty sum"),
  // NVIDIA's matrix units cut off what they add: on an H200 sums of 1,500 terms are off by up to 2e-4.
  ...products([], 20, 1500, 36, "k is split").map((c) => ({ ...c, ...(!adapter.cpu && { atol: 4e-4 }) })),
];

/** With epilogues. */
const linearCases: OpCase[] = [
  { shapes: [[70, 40], [68, 40], [68]], ...exact },
  { shapes: [[70, 40], [66, 40], [66]], args: [{ approximate: "tanh" }], ...exact, note: "rows of C not aligned" },
];

function check(rung: MatmulRung, products = cases, layers = linearCases): void {
  beforeAll(() => forceRung("matmul", { rung }));
  checkOp(inHalf(matmul), matmulReference, { cases: products });
  if (layers.length > 0) checkOp(inHalf(linearGelu), linearGeluReference, { cases: layers });
}

/** Gradients of a layer's weight and bias: rows, in and out; k in so many parts. */
function checkGradients(
  rung: MatmulRung,
  sizes: readonly (readonly [number, number, number])[],
  parts: number[],
): void {
  describe("gradients of a layer", () => {
    withDevice();
    for (const splits of parts)
      test.each(sizes)(`%i rows, %i in, %i out, k in ${splits}`, (...size) => checkLinearGradients({ rung, splits }, size, "f16"));
  }); // prettier-ignore
}

describe("matrix units, emulated", () => {
  // Smaller matrices than any real one, and fewer products, for the compiler's sake.
  const few = [cases[0]!, cases[11]!];
  const enough = cases.filter(({ note }, i) => note === "nothing whole" || i % 4 === 1);
  const shapes = [
    // 32 invocations: more than an adapter of the tests runs in lockstep, so that a missing barrier shows.
    { name: "4 × 4 × 4", M: 4, N: 4, K: 4, lanes: 8, most: 8, subgroups: [2, 2] },
    // 16 vectors in a matrix of sums, and 8 lanes: each matrix is read by another subgroup than its own, too.
    { name: "8 × 8 × 8", M: 8, N: 8, K: 8, lanes: 8, most: 8, subgroups: [1, 2], which: few },
    {
      name: "8 × 4 × 4, more subgroups than needed",
      M: 8,
      N: 4,
      K: 4,
      lanes: 2,
      most: 4,
      subgroups: [1, 2],
      which: few,
    },
  ];
  for (const { name, M, N, K, lanes, most, subgroups, which } of shapes) {
    describe(name, () => {
      const [SUBGROUPS_M, SUBGROUPS_N] = subgroups as [number, number];
      const info: Partial<AdapterInfo> = {
        subgroupMatrix: { M, N, K, problem: undefined },
        subgroupSize: [lanes, most],
      };
      beforeEach(() => void Object.assign(device().adapter, info));
      const emulation = {
        ...subgroupMatrix({ subgroupMatrix: emulated(lanes), rowSums }, name, { SUBGROUPS_M, SUBGROUPS_N }),
        name,
      };
      if (which) check(emulation, which, []);
      else check(emulation, enough);
      if (M * N >= 4 * most && M === N) checkGradients(emulation, [[40, 36, 37]], [2]);
    });
  }
});

for (const name of ["matrixSmall", "matrixMedium", "matrixLarge", "matrixHalves"] as const) {
  describe.skipIf(!adapter.subgroupMatrix)(`matrix units of this adapter: ${matmulLadder.rungs[name].kernel}`, () => {
    const rung = matmulLadder.rungs[name];
    check(rung);
    checkGradients(rung, [[1, 4, 3], [37, 20, 33], [131, 22, 5], [70, 132, 131], [67, 260, 259]], [1, 3]); // prettier-ignore
  });
}

describe("the trial at the start", () => {
  withDevice();
  const { tiled } = matmulLadder.rungs;

  test("passes a kernel that computes right", async () => {
    expect(await problemWith(() => tryMatmul(tiled, forms))).toBeUndefined();
  });

  test("says what is wrong with one that does not", async () => {
    const wrong: MatmulRung = {
      ...tiled,
      kernel: "wrong",
      compute: (task) => tiled.compute({ ...task, bias: undefined }),
    };
    expect(await problemWith(() => tryMatmul(wrong, forms))).toMatch(
      /^wrong computes wrongly here: element \[0, 0, 0\]/,
    );
    const idle: MatmulRung = { ...tiled, kernel: "idle", compute: () => undefined };
    expect(await problemWith(() => tryMatmul(idle, forms))).toMatch(/^idle computes wrongly here: .* is NaN/);
  });

  test("a kernel that does not compile breaks nothing but the device it is tried on", async () => {
    const before = device();
    const broken = kernel("broken.wgsl", "@compute @workgroup_size(1) fn main() { nothing(); }");
    const trial = () => tryMatmul({ ...tiled, compute: () => run(broken, {}, {}, { workgroups: 1 }) }, forms);
    expect(await problemWith(trial)).toContain("broken.wgsl: the kernel does not compile");
    expect(device()).toBe(before);
    expect(await add(tensor([1, 2]), 1).data()).toEqual(new Float32Array([2, 3]));
  });

  test("decides what is chosen", () => {
    const sizes = { M: 512, N: 512, K: 512, batches: 1, precision: "f16" } as const;
    const gpu: AdapterInfo = { ...adapter, cpu: false, subgroupSize: [32, 32], subgroupMatrix: undefined };
    const offered = { M: 16, N: 16, K: 16, problem: undefined };
    const chosen = (subgroupMatrix: AdapterInfo["subgroupMatrix"], precision: "f16" | "f32" = "f16") =>
      chooseMatmul({ ...gpu, subgroupMatrix }, { ...sizes, precision }).kernel;
    expect(chosen(offered)).toContain("matmul-subgroup-matrix");
    expect(chosen(offered, "f32")).toContain("matmul-tiled");
    expect(chosen({ ...offered, problem: "wrong" })).toContain("matmul-tiled");
    expect(chosen(undefined)).toContain("matmul-tiled");
  });
});
