import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { checkOp, expectClose, withDevice, type OpCase } from "../../testing/check-op.ts";
import { destroy, init } from "../../runtime/init.ts";
import { traceDispatches } from "../../runtime/profile.ts";
import { sizeOf } from "../../shape.ts";
import { fromArray } from "../../factories.ts";
import { adapterKey, choicesFor, TUNING_VERSION, type Tuning } from "../../runtime/tuning.ts";
import { chooseMatmul, tunedMatmul, tuningKey } from "./choose.ts";
import { forceRung, withRung } from "../ladders.ts";
import { matmulLadder } from "./ladder.ts";
import { linearGelu } from "./linear.ts";
import { linearGeluReference } from "./linear.reference.ts";
import { matmul } from "./matmul.ts";
import { countResident } from "./resident.ts";
import { splitsFor } from "./tiles.ts";
import { ndArray } from "../../testing/nd-array.ts";
import { matmulReference } from "./matmul.reference.ts";

const flips = [{}, { transposeA: true }, { transposeB: true }, { transposeA: true, transposeB: true }];
const size = (batch: number[], rows: number, cols: number, flip: boolean | undefined) =>
  flip ? [...batch, cols, rows] : [...batch, rows, cols];

/** All four forms of a product, batches given. */
const forms = (
  aBatch: number[],
  bBatch: number[],
  M: number,
  K: number,
  N: number,
  more: Partial<OpCase> = {},
): OpCase[] =>
  flips.map((flip) => ({
    shapes: [size(aBatch, M, K, flip.transposeA), size(bBatch, K, N, flip.transposeB)],
    args: [flip],
    ...more,
  }));

const cases: OpCase[] = [
  ...forms([], [], 1, 1, 1),
  ...forms([], [], 5, 7, 3),
  ...forms([3], [3], 2, 5, 4),
  ...forms([2, 3], [3], 3, 2, 4, { note: "B broadcast along the outer batch" }),
  ...forms([4], [1], 3, 2, 4, { note: "B broadcast" }),
  ...forms([1, 3], [2, 1], 2, 3, 2, { note: "both broadcast" }),
  ...forms([2, 1, 2], [1, 2, 1], 2, 3, 2, { note: "both broadcast, in turns" }),
  ...forms([], [], 3, 0, 4, { note: "an empty sum" }),
  ...forms([], [], 0, 3, 4),
  ...forms([0], [], 2, 3, 4, { note: "no matrix at all" }),
  ...forms([], [], 65, 67, 33, { gradient: false, atol: 2e-5 }),
  ...forms([], [], 64, 16, 32, { gradient: false, atol: 2e-5, note: "whole tiles" }),
  ...forms([2], [2], 129, 70, 131, { gradient: false, atol: 2e-5 }),
  ...forms([2], [2], 132, 36, 68, { gradient: false, atol: 2e-5, note: "whole vectors" }),
  ...forms([], [], 130, 12, 260, { gradient: false, atol: 2e-5, note: "many columns" }),
  ...forms([], [], 65, 4096, 72, {
    gradient: false,
    atol: 1e-3,
    note: "images of several rows, few tiles side by side",
  }),
  ...forms([300], [300], 3, 5, 4, { gradient: false, note: "many matrices" }),
  { shapes: [[9001, 3], [3, 130]], gradient: false, note: "a tall one" }, // prettier-ignore
  {
    shapes: [
      [2, 3072],
      [3072, 3],
    ],
    gradient: false,
    atol: 2e-4,
    note: "a long sum",
  },
];

const { adapter } = await init();
await destroy();
for (const rung of Object.values(matmulLadder.rungs)) {
  describe.skipIf(!rung.suits(adapter, { M: 1, N: 1, K: 1, batches: 1, precision: "f32" }))(rung.kernel, () => {
    beforeAll(() => forceRung("matmul", rung.name)); // until what it returns is called, after all
    checkOp(matmul, matmulReference, { cases });
    test.skipIf(!adapter.features.includes("timestamp-query"))("traceDispatches counts its operations", async () => {
      await init();
      onTestFinished(destroy);
      const flopsOf = async (batch: number[], splits?: number): Promise<number[]> => {
        const [a, b] = [
          [5, 72],
          [72, 8],
        ].map((shape) => fromArray(new Float32Array(sizeOf([...batch, ...shape])), [...batch, ...shape]));
        const dispatches = await withRung("matmul", { rung, splits }, () => traceDispatches(() => matmul(a!, b!)));
        return dispatches.flatMap(({ flops }) => flops ?? []);
      };
      expect(await flopsOf([])).toEqual([5760]); // 2 · 5 · 8 · 72
      expect(await flopsOf([2, 3])).toEqual([34560]);
      expect(await flopsOf([2, 3], 2)).toEqual([34560]);
    });
  });
}

/** k taken in parts, some of them empty; C with whole vectors in its rows, and without. */
const splitCases: OpCase[] = [
  ...forms([], [], 5, 7, 3),
  ...forms([2], [2], 4, 40, 8, { gradient: false, atol: 2e-5 }),
  ...forms([2, 3], [3], 3, 20, 4, { note: "B broadcast along the outer batch: C is added to" }),
  ...forms([], [], 3, 0, 4, { note: "an empty sum" }),
  ...forms([2], [2], 65, 129, 67, { gradient: false, atol: 4e-5 }),
  ...forms([], [], 132, 100, 68, { gradient: false, atol: 4e-5, note: "whole vectors" }),
  { shapes: [[7, 3072], [3072, 5]], gradient: false, atol: 2e-4, note: "a long sum" }, // prettier-ignore
];
for (const rung of [matmulLadder.rungs.tiled, matmulLadder.rungs.tiledLarge]) {
  describe.each([1, 2, 7])(`${rung.kernel}, k in %i parts`, (splits) => {
    beforeAll(() => forceRung("matmul", `${rung.name}/${splits}`));
    checkOp(matmul, matmulReference, { cases: splitCases });
    checkOp(linearGelu, linearGeluReference, {
      cases: [
        { shapes: [[66, 70], [67, 70], [67]], gradient: false, atol: 2e-5 },
        { shapes: [[66, 72], [68, 72], [68]], gradient: false, atol: 2e-5 },
      ],
    });
  });
}

checkOp(matmul, matmulReference, {
  cases: [
    { shapes: [[5], [5]] },
    { shapes: [[5], [5, 3]] },
    { shapes: [[5], [2, 5, 3]] },
    { shapes: [[3, 5], [5]] },
    { shapes: [[2, 3, 5], [5]], args: [{ transposeB: true }] },
    {
      shapes: [
        [70_000, 1, 2],
        [70_000, 2, 1],
      ],
      gradient: false,
      note: "many matrices",
    },
    {
      shapes: [
        [2200, 3],
        [3, 2000],
      ],
      gradient: false,
      note: "more than 65,535 workgroups",
    },
  ],
});

describe("in how many parts k is taken", () => {
  /** Tiles of 128 × 128, of which so many are at work at once. */
  const parts = (places: number, M: number, N: number, K: number, precision: "f16" | "f32" = "f16") =>
    splitsFor({ residentInvocations: places * 256 }, { M, N, K, batches: 1, precision }, 128);
  test.each([
    [264, 768, 768, 4096, 7], // 36 tiles: 252 workgroups fill one wave
    [264, 3072, 768, 4096, 3], // 144: 432 workgroups are two waves of a third each; two parts would be two waves, too, of a half
    [264, 4096, 768, 3072, 1], // 192: most of one wave
    [164, 768, 768, 4096, 4], // 144 workgroups
    [20, 768, 768, 4096, 1], // two waves; parts cost more than the half-empty second one
    [264, 768, 768, 512, 1], // too short
  ] as const)("%i places: %i × %i, K %i: %i", (places, M, N, K, splits) => {
    expect(parts(places, M, N, K)).toBe(splits);
  });

  test("never in so many that it takes longer, by waves, than in one", () => {
    for (const places of [8, 40, 164, 264, 288])
      for (const tiles of [1, 6, 36, 144, 190, 600])
        for (const K of [512, 4096, 16384]) {
          const splits = parts(places, 128 * tiles, 128, K, "f32");
          expect(Math.ceil((tiles * splits) / places) / splits).toBeLessThanOrEqual(Math.ceil(tiles / places));
          expect(K / splits).toBeGreaterThanOrEqual(512);
        }
  });

  test("the places are counted by invocations that have begun and not ended", async () => {
    await init();
    const counted = await countResident(1); // 64 workgroups of 256
    await destroy();
    expect(counted).toBeGreaterThanOrEqual(256);
    expect(counted).toBeLessThanOrEqual(64 * 256);
  });
});

describe("the choice of kernel", () => {
  const gpu = { ...adapter, cpu: false, subgroupMatrix: undefined };
  const lavapipe = { ...adapter, cpu: true, subgroupSize: [8, 8] as const };
  const swiftShader = { ...adapter, cpu: true, subgroupSize: [4, 4] as const };
  const product = (M: number, N: number, K: number) => ({ M, N, K, batches: 1, precision: "f32" as const });
  test.each([
    ["a classifier's head", gpu, product(16, 2, 768), "matmul-dots"],
    ["its weight's gradient", gpu, product(2, 768, 16), "matmul-naive"],
    ["one token in a large layer", gpu, product(1, 30522, 768), "matmul-naive"],
    ["a small product", gpu, product(128, 128, 128), "matmul-tiled 64×64"],
    ["a large one", gpu, product(4096, 3072, 768), "matmul-tiled 128×128"],
    ["a weight's gradient, k in parts", gpu, product(768, 768, 4096), "matmul-tiled 128×128"],
    ["lavapipe", lavapipe, product(4096, 3072, 768), "matmul-subgroup.cpu"],
    ["lavapipe, a sentence", lavapipe, product(16, 3072, 768), "matmul-rows.cpu"],
    [
      "lavapipe, a sentence that fills more than half of a tile of 64",
      lavapipe,
      product(40, 3072, 768),
      "matmul-subgroup.cpu",
    ],
    ["lavapipe, one that would fill three tiles of 32", lavapipe, product(96, 3072, 768), "matmul-subgroup.cpu"],
    ["lavapipe, the pooled first token", lavapipe, product(1, 768, 768), "matmul-rows.cpu"],
    ["SwiftShader, the pooled first token", swiftShader, product(1, 768, 768), "matmul-naive"],
    ["lavapipe, a classifier's head", lavapipe, product(16, 2, 768), "matmul-naive"],
    ["SwiftShader", swiftShader, product(4096, 3072, 768), "matmul-registers"],
  ])("%s", (_, on, sizes, name) => {
    expect(chooseMatmul(on, sizes).kernel).toBe(name);
  });

  test("follows a tuning of this adapter and version, if it names what is there", () => {
    const sizes = product(768, 768, 4096);
    const choices = { [tuningKey(sizes)]: "tiled/4", [tuningKey(product(1, 1, 1))]: "gone" };
    const choose = (change: Partial<Tuning>, of = sizes) =>
      tunedMatmul(
        {
          adapter: gpu,
          tuning: choicesFor(gpu, { version: TUNING_VERSION, adapter: adapterKey(gpu), choices, ...change }),
        },
        of,
      );
    expect(choose({})).toEqual({ rung: matmulLadder.rungs.tiled, splits: 4 });
    expect(choose({}, product(768, 768, 4095))).toBeUndefined();
    expect(choose({}, product(1, 1, 1))).toBeUndefined();
    expect(choose({ version: TUNING_VERSION + 1 })).toBeUndefined();
    expect(choose({ adapter: "another" })).toBeUndefined();
    for (const broken of [undefined, null, 7, "text", [], {}]) expect(choicesFor(gpu, broken).size).toBe(0);
  });
});

test.runIf(adapter.cpu)("few rows of sums of one or two terms take no kernel of their own on CPUs", () => {
  const rungFor = (K: number) => chooseMatmul(adapter, { M: 16, N: 768, K, batches: 1, precision: "f32" }).name;
  expect(rungFor(2)).toBe("naive");
  expect(rungFor(3)).not.toBe("naive");
});

// The sums of each are added in one order: a text's numbers must not depend on how many are computed with it.
test.skipIf(!matmulLadder.rungs.rows.suits(adapter, { M: 1, N: 1, K: 1, batches: 1, precision: "f32" }))(
  "a row of a product is the same, to the bit, however many rows there are",
  async () => {
    await init();
    onTestFinished(destroy);
    const [rows, K, N] = [130, 72, 40];
    const values = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i + 1));
    const [x, w] = [values(rows * K), fromArray(values(N * K), [N, K])];
    const product = async (M: number): Promise<Float32Array> =>
      (await matmul(fromArray(x.slice(0, M * K), [M, K]), w, { transposeB: true }).data()) as Float32Array;
    const all = await product(rows);
    for (const M of [1, 2, 16, 17, 33, 65, 96, 129]) expect(await product(M)).toEqual(all.slice(0, M * N));
  },
);

test("a tuning names a batch, and the precision", () => {
  const sizes = { M: 2, N: 3, K: 4, precision: "f16" as const };
  expect([1, 5].map((batches) => tuningKey({ ...sizes, batches }))).toEqual(["matmul 2×3×4 f16", "matmul 5×2×3×4 f16"]);
});

test("k in parts, and rows that are no whole vectors, do without a workspace that could not be bound", async () => {
  const device = await init();
  onTestFinished(destroy);
  const run = async (N: number, rung: string, most: number): Promise<string[]> => {
    const real = device.gpu.limits;
    const spy = vi.spyOn(device.gpu, "limits", "get").mockReturnValue({ ...real, maxStorageBufferBindingSize: most });
    const dispatch = vi.spyOn(device.queue, "dispatch");
    const [a, b] = [[4, 64], [64, N]].map((shape, i) => fromArray(Float32Array.from({ length: sizeOf(shape) }, (_, k) => ((k * (i + 3)) % 7) - 3), shape)); // prettier-ignore
    const y = withRung("matmul", rung, () => matmul(a!, b!));
    const files = dispatch.mock.calls.map(([kernel]) => kernel.file.replace(/^.*\//, ""));
    spy.mockRestore();
    dispatch.mockRestore();
    const want = matmulReference(ndArray([4, 64], await a!.data()), ndArray([64, N], await b!.data()));
    expectClose(await y.data(), want.data, { rtol: 1e-6, atol: 1e-5 }, `${rung}, N ${N}`);
    return files;
  };
  const bytes = 4 * 4 * 8; // of C, with whole vectors
  expect(await run(8, "tiled/2", 2 * bytes)).toEqual(["matmul-tiled.wgsl", "matmul-sum.wgsl"]);
  expect(await run(8, "tiled/2", 2 * bytes - 1)).toEqual(["matmul-tiled.wgsl"]);
  expect(await run(7, "tiled/1", bytes)).toEqual(["matmul-tiled.wgsl", "matmul-sum.wgsl"]);
  expect(await run(7, "tiled/1", bytes - 1)).toEqual(["matmul-workgroup-tile.wgsl"]);
});

describe("matmul refuses", () => {
  withDevice();
  const zeros = (...shape: number[]) => fromArray(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);

  test("inner dimensions that differ, with a hint", () => {
    expect(() => matmul(zeros(2, 4, 6), zeros(5, 6))).toThrow(
      "matmul: inner dimensions differ: a [2,4,6] · b [5,6] (6 and 5). Did you mean transposeB?",
    );
  });
  test("batches that don't broadcast", () => {
    expect(() => matmul(zeros(2, 4, 6), zeros(3, 6, 5))).toThrow(
      "matmul, batch of: shapes don't broadcast: [2] and [3]",
    );
  });
  test("whole numbers", () => {
    const whole = fromArray([1], [1, 1], "i32");
    expect(() => matmul(zeros(1, 1), whole)).toThrow(
      'matmul: b is i32; products are of floats. cast(b, "f32") makes it one.',
    );
  });
  test("scalars", () => {
    expect(() => matmul(zeros(), zeros(2, 2))).toThrow("matmul: a scalar is not a matrix");
  });

  test("says which operands are transposed, and whether one more or less would do", () => {
    const message = (a: number[], b: number[], options: object): string => {
      try {
        matmul(zeros(...a), zeros(...b), options);
        return "";
      } catch (error) {
        return String(error);
      }
    };
    expect(message([4, 2], [5, 6], { transposeA: true })).toContain("b [5,6] with transposeA (4 and 5).");
    expect(message([4, 2], [5, 6], { transposeA: true })).not.toContain("Did you mean");
    expect(message([2, 4], [4, 6], { transposeB: true })).toContain(
      "with transposeB (4 and 6). Did you mean no transposeB?",
    );
    expect(message([4, 2], [5, 6], { transposeA: true, transposeB: true })).toContain(
      "with transposeA, transposeB (4 and 6).",
    );
    expect(() => matmul(zeros(2, 2), zeros())).toThrow("matmul: a scalar is not a matrix");
  });
});
