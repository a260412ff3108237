import { describe, expect, test } from "vitest";
import { type AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { scope } from "../../scope.ts";
import { fromArray, tensor } from "../../factories.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOp, expectClose, randomNormal, withDevice, withGpuKernels } from "../../testing/check-op.ts";
import { ndArray } from "../../testing/nd-array.ts";
import { chooseSoftmax } from "./choose.ts";
import { softmaxLadder, type Pass, type SoftmaxRung } from "./ladder.ts";
import { logSoftmax, softmax } from "./softmax.ts";
import { logSoftmaxReference, softmaxReference } from "./softmax.reference.ts";

const cases = [
  { shapes: [[1, 1]] },
  { shapes: [[3, 7]] },
  { shapes: [[2, 3, 257]] },
  { shapes: [[2, 3, 44]] },
  { shapes: [[5, 8]], args: [{ dim: 0 }] },
  { shapes: [[2, 6, 5]], args: [{ dim: 1 }] },
  { shapes: [[0, 4]] },
  { shapes: [[2, 5001]], gradient: false, note: "long rows" },
  { shapes: [[2, 36_000]], gradient: false, note: "rows that no workgroup holds" },
  { shapes: [[70_000, 2]], gradient: false, note: "many rows" },
];

function checkAll(): void {
  checkOp(softmax, softmaxReference, { cases });
  checkOp(logSoftmax, logSoftmaxReference, { cases });
}

checkAll();
withGpuKernels(checkAll);

const tolerance = { rtol: 1e-5, atol: 2e-6 };

/** Forward and backward of a kernel, where it suits, against float64. */
async function checkRung(rung: SoftmaxRung, rows: number, cols: number, log: boolean): Promise<void> {
  const lines = { rows, cols, inner: 1 };
  const x = ndArray([rows, cols], Float32Array.from(randomNormal(rows * cols, cols)));
  for (let r = 1; r < rows; r += 2) x.data[r * cols + ((7 * r) % cols)]! += 200; // exp() of it alone overflows
  const dy = Float32Array.from(randomNormal(rows * cols, 99));
  const want = (log ? logSoftmaxReference : softmaxReference)(x).data;
  const what = `${rung.kernel} [${rows}, ${cols}]${log ? " log" : ""}`;
  const suits = (pass: Pass): boolean => rung.suits(device().adapter, { pass, ...lines });
  const { y, dx } = scope(() => {
    const y = empty(x.shape);
    if (suits("forward"))
      rung.compute({ pass: "forward", ...lines, log, tensors: { x: fromArray(x.data, x.shape), y } });
    if (!suits("backward")) return { y, dx: undefined };
    const dx = empty(x.shape);
    const given = { y: fromArray(Float32Array.from(want), x.shape), dy: fromArray(dy, x.shape), dx };
    rung.compute({ pass: "backward", ...lines, log, tensors: given });
    return { y, dx };
  });
  if (suits("forward")) expectClose(await y.data(), want, tolerance, `${what} forward`);
  y.dispose();
  if (!dx) return;
  const slopes = Float64Array.from(dy);
  for (let first = 0; first < slopes.length; first += cols) {
    const row = want.subarray(first, first + cols);
    const sum = row.reduce((total, v, c) => total + dy[first + c]! * (log ? 1 : v), 0);
    row.forEach((v, c) => (slopes[first + c] = log ? dy[first + c]! - Math.exp(v) * sum : v * (dy[first + c]! - sum)));
  }
  expectClose(await dx.data(), slopes, { ...tolerance, atol: 1e-5 }, `${what} backward`);
  dx.dispose();
}

const smallest = (): number => device().adapter.subgroupSize[0];

describe.each(Object.values(softmaxLadder.rungs))("$kernel", (rung) => {
  withDevice();

  test.each([1, 3, 4, 5, 31, 32, 33, 64, 128, 256, 1000, 1023, 1024, 1025, 5000, 30_522])(
    "rows of %i",
    async (cols) => {
      await checkRung(rung, 5, cols, false);
    },
  );

  test.each([1, 3, 33, 64, 1025, 5000])("logarithms of rows of %i", async (cols) => {
    await checkRung(rung, 5, cols, true);
  });

  test("more than 65,535 rows", async () => {
    await checkRung(rung, 70_001, 3, false);
    await checkRung(rung, 66_001, 8, false);
  });

  test("infinities and NaN are as in PyTorch", async ({ skip }) => {
    skip(!rung.suits(device().adapter, { pass: "forward", rows: 5, cols: 4, inner: 1 }), "not on this adapter");
    const inf = Infinity;
    const rows = [
      [-inf, 1, 2, -inf],
      [-inf, -inf, -inf, 0],
      [-3.4028235e38, -3.4028235e38, -3.4028235e38, -3.4028235e38],
      [3e38, -3e38, 3e38, 0],
      [-inf, -inf, -inf, -inf],
    ];
    const want = rows.map((row) => Array.from(softmaxReference(ndArray([4], row)).data));
    const forward = (x: Tensor, y: Tensor, rows: number) =>
      rung.compute({ pass: "forward", rows, cols: x.size / rows, inner: 1, log: false, tensors: { x, y } });
    const y = empty([5, 4]);
    forward(tensor(rows), y, 5);
    expectClose(await y.data(), want.flat(), tolerance, rung.name);
    const wide = empty([5, 64]); // each row 16 times, so that several invocations share it
    const repeated = rows.map((row) => Array.from({ length: 16 }, () => row).flat());
    forward(tensor(repeated), wide, 5);
    expectClose(
      await wide.data(),
      want.flatMap((row) => Array.from({ length: 16 }, () => row.map((p) => p / 16)).flat()),
      tolerance,
      rung.kernel,
    );
    for (const bad of [inf, NaN]) {
      const one = empty([4]);
      forward(tensor([1, 2, bad, 3]), one, 1);
      const found = Array.from(await one.data(), Number.isNaN);
      expect(found).toContain(true); // WGSL leaves open what exp(∞ − ∞) is
      if (Number.isNaN(bad)) expect(found).not.toContain(false);
    }
  });
});

describe("softmax-subgroup at smaller subgroups", () => {
  withDevice();
  for (const span of [32, 16, 8, 4, 2, 1]) {
    test(`of ${span}`, async ({ skip }) => {
      if (smallest() < span) skip("this adapter's are smaller");
      Object.assign(device().adapter, { subgroupSize: [span, span] } satisfies Partial<AdapterInfo>);
      for (const cols of [3, 32, 100, 1025]) await checkRung(softmaxLadder.rungs.subgroup, 5, cols, false);
    });
  }
});

describe("softmax", () => {
  withDevice();

  test("takes registers on GPUs, workgroup memory for what they don't hold, and single invocations for lines apart", () => {
    const adapter = { ...device().adapter, cpu: false, features: ["subgroups"], subgroupSize: [32, 32] as const };
    const choice = (cols: number, inner = 1, features = adapter.features) =>
      chooseSoftmax({ ...adapter, features }, { pass: "forward", rows: 9, cols, inner }).kernel;
    expect([2, 128, 4096].map((cols) => choice(cols))).toEqual(new Array(3).fill("softmax-subgroup"));
    expect([choice(1e6), choice(512, 1, [])]).toEqual(new Array(2).fill("softmax-workgroup"));
    expect([choice(512, 3), choice(2, 1, [])]).toEqual(new Array(2).fill("softmax-rows"));
  });

  test("takes workgroup memory on GPUs without subgroups from 32 columns on", () => {
    const gpu: AdapterInfo = { ...device().adapter, cpu: false, features: [] };
    const choice = (cols: number): string => chooseSoftmax(gpu, { pass: "forward", rows: 9, cols, inner: 1 }).kernel;
    expect([31, 32].map(choice)).toEqual(["softmax-rows", "softmax-workgroup"]);
  });

  test("shares rows on CPUs among a whole subgroup of 8 with four or more vec4s each", () => {
    const { adapter } = device();
    const choices = (pass: Pass, span: number, widths: number[]): string[] => {
      const cpu: AdapterInfo = { ...adapter, cpu: true, features: ["subgroups"], subgroupSize: [span, span] };
      return widths.map((cols) => chooseSoftmax(cpu, { pass, rows: 9, cols, inner: 1 }).kernel);
    };
    const [naive, rows, subgroup] = ["softmax-naive", "softmax-rows", "softmax-subgroup"];
    expect(choices("forward", 8, [64, 128, 256, 260])).toEqual([rows, subgroup, subgroup, rows]);
    expect(choices("backward", 8, [64, 128, 132])).toEqual([rows, subgroup, rows]);
    expect([choices("forward", 8, [129]), choices("backward", 8, [129])]).toEqual([[naive], [rows]]); // no vec4s
    expect([choices("forward", 4, [256]), choices("forward", 16, [256])]).toEqual([[rows], [rows]]);
  });

  test("of nothing is nothing", async () => {
    expect(await softmax(fromArray([], [4, 0])).toArray()).toEqual([[], [], [], []]);
  });

  test("refuses a dimension that isn't there", () => {
    expect(() => softmax(tensor([[1, 2]]), { dim: 2 })).toThrow("softmax: dim 2 is out of range");
  });
});
