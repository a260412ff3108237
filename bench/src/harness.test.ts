import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { add, destroy, device, init, linear, mul, ones, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linearReference } from "../../packages/tensor/src/ops/matmul/linear.reference.ts";
import { benchBackward, benchOp, type BenchCase } from "../../packages/tensor/src/testing/bench-op.ts";
import { caveats, compare } from "./compare.ts";
import { measure, statistics, time, type Row } from "./harness.ts";
import { page } from "./html.ts";
import { better, withShares, type Limits } from "./limits.ts";
import { load, recordOf, save, type Run } from "./record.ts";
import { changesReport, report } from "./report.ts";

const limits: Limits = { f32: 1e9, f16: 2e9, bytes: 1e9, cacheBytes: 100, clock: "wall" };
const folder = mkdtempSync(join(tmpdir(), "gpugrad-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** y = 2 x, computed by `op`; with a ladder of one right and one wrong rung. */
const twice = (op: (x: Tensor) => Tensor): BenchCase =>
  benchOp("twice", {
    shapes: [[33, 7]],
    op: (x) => op(x),
    reference: ({ shape, data }) => ({ shape, data: data.map((v) => 2 * v) }),
    flops: 231,
    rungs: [
      { name: "add.wgsl", idea: "x + x", run: (x) => add(x, x) },
      { name: "square.wgsl", idea: "x · x", run: (x) => mul(x, x) },
    ],
  });

const double = (x: Tensor): Tensor => mul(x, 2);

/** The row of a case alone. */
const measured = async (benchCase: BenchCase): Promise<Row> => (await measure("room", benchCase, limits))[0]!;

describe("measure", () => {
  beforeAll(async () => void (await init()));
  afterAll(destroy);

  test("times a kernel that is right", async () => {
    const row = await measured(twice(double));
    expect(row).toMatchObject({ case: "twice", room: "room", kernel: "binary", dispatches: 1, submits: 1 });
    expect(row.error).toBeUndefined();
    expect(row.ms).toBeGreaterThan(0);
    expect(row.compile).toBeGreaterThanOrEqual(0);
    const bytes = 2 * 231 * 4;
    expect(row.gbs).toBeCloseTo(bytes / 1e6 / row.ms!, 9);
    expect(withShares(row, limits).of_limit).toBeCloseTo(bytes / 1e6 / row.ms!, 9); // memory binds it
    expect(withShares(row, { ...limits, blas: 5e8 }).of_blas).toBeCloseTo(231 / 5e5 / row.ms!, 9);
  });

  test("gives one that is wrong no time", async () => {
    const row = await measured(twice((x) => mul(x, 3)));
    expect(row.ms).toBeNull();
    expect(row.error).toMatch(/^wrong result: element 0 is /);
  });

  test("checks and times the rungs of a ladder", async () => {
    const rows = await measure("room", twice(double), limits, [0, 1, undefined]);
    expect(rows.map(({ rung, idea }) => [rung, idea])).toEqual([
      ["add.wgsl", "x + x"],
      ["square.wgsl", "x · x"],
      [undefined, undefined],
    ]);
    expect(rows.map(({ ms }) => ms !== null)).toEqual([true, false, true]);
    expect(rows[1]!.error).toMatch(/^wrong result/);
  });

  test("checks gradients, and finds a wrong one", async () => {
    const backward = (factor: number): BenchCase =>
      benchBackward("linear_bwd", {
        op: linear,
        shapes: [[40, 6], [5, 6], [5]], // prettier-ignore
        result: [40, 5],
        reference: (x, weight, bias) =>
          linearReference(x, { ...weight, data: weight.data.map((v) => factor * v) }, bias),
      });
    expect((await measured(backward(1))).error).toBeUndefined();
    expect((await measured(backward(1.01))).error).toMatch(/^wrong result: the gradient of input 0 /);
  });

  test("takes turns with the inputs, and disposes what comes out", async () => {
    const seen = new Set<number>();
    await time((i) => void seen.add(i % 3), { sets: 3 });
    expect(seen).toEqual(new Set([0, 1, 2]));
  });

  test("reads the device's timestamps where asked to", async (context) => {
    if (!device().adapter.features.includes("timestamp-query")) context.skip();
    const x = ones([1 << 20]);
    const [byDevice, byWall] = [
      await time(() => double(x), { clock: "device" }),
      await time(() => double(x), { clock: "wall" }),
    ];
    x.dispose();
    expect(byDevice.best).toBeGreaterThan(0);
    expect(byDevice.best).toBeLessThan(2 * byWall.median);
  });

  test("keeps a run, and reads it again", () => {
    const run = { ...recordOf("pnpm bench", limits), rows: [rowOf("a", 1)] };
    expect(run.versions.webgpu).toMatch(/^\d+\./);
    expect(run.date).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+Z$/);
    const file = save(run, join(folder, "deep/run.json"));
    expect(load(file)).toEqual(run);
    writeFileSync(join(folder, "rows.json"), "[]");
    expect(() => load(join(folder, "rows.json"))).toThrow("is not a run that --save wrote");
  });
});

const rowOf = (name: string, ms: number | null, more: Partial<Row> = {}): Row => ({
  case: name,
  room: "softmax",
  ms,
  spread: ms && 0.02,
  compile: ms && 30,
  gflops: ms && 2 / ms,
  gbs: ms && 1 / ms,
  intensity: 2,
  arithmetic: "f32",
  of_limit: ms && 0.5,
  clock: "wall",
  kernel: "softmax-rows",
  dispatches: 1,
  submits: 1,
  adapter: "llvmpipe",
  ...more,
});

const runOf = (...rows: Row[]): Run => ({
  date: "2026-01-02T03:04:05Z",
  command: "pnpm bench --only 'a|b'",
  device: "llvmpipe <1>",
  cpu: "2 × CPU",
  versions: { node: "v20", webgpu: "1", gpugrad: "abc" },
  limits: { ...limits, blas: 3e9 },
  rows,
});

test("the median, and the distance between the quartiles as a share of it", () => {
  expect(statistics([5, 1, 2, 4, 3])).toEqual({ best: 1, median: 3, spread: 2 / 3 });
});

test("of two measurements of the limits the better ones count", () => {
  const worse = { ...limits, f32: 9e8, bytes: 2e9, blas: 1e9 };
  expect(better(limits, worse)).toEqual({ ...limits, bytes: 2e9, blas: 1e9 });
});

describe("compare", () => {
  const before = runOf(
    rowOf("a", 10),
    rowOf("b", 10),
    rowOf("c", 10, { spread: 0.3 }),
    rowOf("d", null),
    rowOf("e", 10),
  );

  test("flags what changed by more than the noise of both", () => {
    const after = runOf(
      rowOf("a", 10.4),
      rowOf("b", 11),
      rowOf("c", 12),
      rowOf("d", 5),
      rowOf("e", 8),
      rowOf("new", 1),
    );
    const changes = compare(before, after);
    expect(changes.map((change) => [change.case, change.verdict])).toEqual([
      ["a", "same"],
      ["b", "slower"],
      ["c", "same"], // 20 % slower, but the samples were 30 % apart
      ["e", "faster"],
    ]);
    expect(changesReport(changes)).toContain("| b    |      10.0 |   11.0 |  +10 % |  ±5 % | slower  |");
    expect(changesReport(changes)).toContain("2 of 4 cases as before");
  });

  test("rungs are compared with the same rung", () => {
    const ladder = (ms: number): Run => runOf(rowOf("a", 10, { rung: "x.wgsl" }), rowOf("a", ms, { rung: "y.wgsl" }));
    expect(compare(ladder(10), ladder(20)).map(({ verdict }) => verdict)).toEqual(["same", "slower"]);
  });

  test("says when the machine itself has changed", () => {
    expect(caveats(before, { ...before, device: "other" })).toEqual(["another device: llvmpipe <1> then, other now"]);
    expect(caveats(before, { ...before, limits: { ...limits, bytes: 5e8 } })).toEqual([
      "copying itself runs at 50 % of its pace then",
    ]);
  });
});

describe("reports", () => {
  const host = rowOf("host", 1, { room: "host", dispatches: 250, us_per_dispatch: 4, submits: 1 });
  const run = runOf(rowOf("a", 10, { of_blas: 0.1 }), rowOf("b", null, { error: "wrong result" }), host);

  test("tables in Markdown, with what the run was made on above", () => {
    const text = report(run, { heading: true });
    expect(text).toContain("- device: llvmpipe <1>\n- machine: 2 × CPU\n- versions: Node v20, webgpu 1, gpugrad abc\n");
    expect(text).toContain("at most 1.00 GFLOP/s in registers, 2.00 with factors of f16, 1.00 GB/s copying");
    expect(text).toContain(
      "| a    |   10.0 |   ±1 % |      30 |   0.200 | 0.100 |     50 % |    10 % | softmax-rows |",
    );
    expect(text).toContain("| b    | failed |");
    expect(text).toContain("| host       | 1.00 |   ±1 % |        250 |          4.00 |       1 |");
  });

  test("ladders: the speed of each rung relative to the first", () => {
    const naive = rowOf("a", 10, { rung: "naive.wgsl", idea: "one thread" });
    const text = report(runOf(naive, rowOf("a", 2.5)));
    expect(text).toMatch(/\| naive.wgsl +\| 10.0 \| .* \| 1.00 × \| one thread +\|/);
    expect(text).toMatch(/\| \(chosen here\) \| 2.50 \| .* \| 4.00 × \| softmax-rows +\|/);
  });

  test("a page that needs nothing else", () => {
    const html = page(run);
    expect(html.match(/<svg/g)!.length).toBeGreaterThanOrEqual(2); // bars and roofline
    expect(html).toContain("llvmpipe &#60;1&#62;");
    expect(html).not.toMatch(/<script|(src|href)="http/);
    expect(page(runOf(rowOf("a", 10, { rung: "x" }), rowOf("a", 5)))).toContain("relative to the first rung");
  });
});

describe("wrong usage exits with 2", () => {
  const bench = (...args: string[]) =>
    spawnSync(process.execPath, ["scripts/run.mjs", "bench/src/cli.ts", ...args], { encoding: "utf8" });

  test.each([
    [["--only", "nosuchcase"], "no case matches /nosuchcase/. Cases: "],
    [["--only", "("], "Invalid regular expression"],
    [["--ladder", "nosuchroom"], "no ladder nosuchroom. Rooms with ladders: "],
  ])("%s", (args, message) => {
    const { status, stderr } = bench(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });
});
