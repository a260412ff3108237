import { expect, test } from "vitest";
import type { AdapterInfo } from "../runtime/adapter.ts";
import { loadParts } from "../runtime/later.ts";
import { ladder, type Rung } from "./ladder.ts";
import { isCpu, laterRungs } from "./later-rungs.ts";

const gpu = { cpu: false, description: "a GPU" } as AdapterInfo;
const cpu = { cpu: true, description: "a CPU" } as AdapterInfo;

interface TestRung extends Rung<unknown, string[]> {
  readonly fast?: boolean;
}
const loaded = (name: string) => ({
  kernel: `${name}.cpu`,
  idea: "loaded",
  fast: true,
  suits: ({ cpu }: AdapterInfo) => cpu,
  compute: (task: string[]) => void task.push(name),
});

const made = (load: () => Promise<Record<"rows", ReturnType<typeof loaded>>>) =>
  ladder<TestRung, "plain" | "rows">(
    "test",
    { plain: loaded("plain"), ...laterRungs<TestRung, "rows">(["rows"], isCpu, load) },
    "plain",
  ).rungs.rows;

test("a rung that is loaded later suits nothing before, and is the rung itself afterwards", async () => {
  let loads = 0;
  const rows = made(() => Promise.resolve({ rows: loaded(`rows ${++loads}`) }));
  expect(rows.suits(cpu, {})).toBe(false);
  expect(() => rows.compute([])).toThrow("rows: this kernel is not loaded. init({ everyRung: true }) loads all.");

  await loadParts(gpu);
  expect([loads, rows.suits(cpu, {})]).toEqual([0, false]);

  await loadParts(cpu);
  const task: string[] = [];
  rows.compute(task);
  expect(task).toEqual(["rows 1"]);
  expect([rows.name, rows.kernel, rows.idea, rows.fast]).toEqual(["rows", "rows 1.cpu", "loaded", true]);
  expect([rows.suits(cpu, {}), rows.suits(gpu, {})]).toEqual([true, false]);
  expect(rows.suits({ ...cpu, leftOut: ["test/rows"] }, {})).toBe(false);
});

test("every rung is loaded where that is asked for", async () => {
  let loads = 0;
  await loadParts(gpu);
  made(() => Promise.resolve({ rows: loaded(`rows ${++loads}`) }));
  expect(loads).toBe(0);
  await Promise.all([loadParts(gpu, true), loadParts(gpu, true)]);
  expect(loads).toBe(1);
});

test("rungs of a module that is imported after init() are loaded at once", async () => {
  await loadParts(cpu);
  const rows = made(() => Promise.resolve({ rows: loaded("rows") }));
  await expect.poll(() => rows.suits(cpu, {})).toBe(true);
});

test("what can't be loaded is said, and tried again by the next init()", async () => {
  let failures = 1;
  await loadParts(gpu);
  const rows = made(() =>
    failures-- > 0 ? Promise.reject(new Error("404 codes.cpu.js")) : Promise.resolve({ rows: loaded("rows") }),
  );
  await expect(loadParts(cpu)).rejects.toThrow(
    "init: kernels for a CPU can't be loaded: 404 codes.cpu.js. Call it again.",
  );
  await loadParts(cpu);
  expect(rows.suits(cpu, {})).toBe(true);
});
