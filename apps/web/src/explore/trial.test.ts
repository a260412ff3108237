// Whatever the sliders offer either breaks a rule that the page shows, or the kernel still passes its check.
import { destroy, device, init, scope } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BenchCase } from "../../../../packages/tensor/src/testing/bench-op.ts";
import { CASES } from "./cases.ts";
import { invariantsOf } from "./invariants.ts";
import { withFollowing } from "./launch.ts";
import type { OpName, Pass, Sizes, Source } from "./protocol.ts";
import { settingsOf, stopsFor, withSettings } from "./source.ts";
import { sourcesOf, withEdited } from "./trial.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** Sizes that no tile divides evenly. */
const SIZES: Record<string, Sizes> = {
  matmul: { M: 70, K: 52, N: 84 },
  softmax: { rows: 37, cols: 260 },
  "layer-norm": { rows: 37, cols: 260 },
  attention: { B: 1, H: 2, T: 70, D: 16 },
  "cross-entropy": { rows: 37, cols: 100 },
};

async function check(benchCase: BenchCase, rung: number | undefined): Promise<void> {
  await scope(async () => {
    const workload = benchCase.prepare(1, rung);
    await workload.verify(workload.run(0));
  });
}

/** The place of a rung in matmul's or softmax's ladder, and the kernel that it runs first. */
function rungOf(benchCase: BenchCase, name: string): { rung: number; source: Source } {
  const rung = benchCase.rungs!.findIndex((each) => each.name.startsWith(name));
  return { rung, source: sourcesOf(benchCase, rung)[0]! };
}

const broken = (source: Source, code: string) =>
  invariantsOf(source, code, device().adapter).filter(({ holds }) => !holds);

describe.each(Object.keys(SIZES) as OpName[])("%s", (op) => {
  test.each(Object.keys(CASES[op]) as Pass[])("%s: what breaks no rule is right", async (pass) => {
    const benchCase = CASES[op][pass]!(SIZES[op]!);
    const ladder = benchCase.rungs?.length ? [...benchCase.rungs.entries()] : [[undefined, undefined] as const];
    const tried: string[] = [];
    for (const [rung, info] of ladder) {
      if (info?.suits && !info.suits()) continue;
      for (const source of sourcesOf(benchCase, rung)) {
        const name = source.file.replace(/^.*\//, "");
        expect(broken(source, source.code), name).toEqual([]);
        for (const { name: setting, value } of settingsOf(source.code)) {
          const stops: (number | boolean)[] = typeof value === "boolean" ? [value, !value] : stopsFor(value, value);
          const at = stops.findIndex((stop) => stop === value);
          for (const next of [stops[at + 1], stops[at - 1]]) {
            // Attention's kernels take seconds to compile: each setting once, and of the tiled ones' three passes one.
            if (op === "attention" && tried.some((each) => each.includes(` ${setting} `))) continue;
            if (pass === "backward" && name.endsWith("-tiled.wgsl") && setting !== "RUNS") continue;
            if (next === undefined) continue;
            const code = withSettings(source.code, withFollowing(source, source.code, setting, next));
            if (broken(source, code).length > 0) continue;
            tried.push(`${name} ${setting} ${next}`);
            await expect(withEdited({ ...source, code }, () => check(benchCase, rung)), tried.at(-1)).resolves.toBeUndefined(); // prettier-ignore
          }
        }
      }
    }
    if (pass === "forward") expect(tried.length).toBeGreaterThan(0);
  });
});

test("a changed tile starts other counts of workgroups, and what belongs to it follows", () => {
  const benchCase = CASES.matmul.forward!({ M: 100, K: 64, N: 200 });
  const { source } = rungOf(benchCase, "matmul-workgroup-tile");
  expect(source.groups).toEqual([13, 7, 1]);
  const counts = (code: string) => invariantsOf(source, code, device().adapter).find(({ says }) => says.includes("workgroups for"))!.says; // prettier-ignore
  expect(counts(source.code)).toBe("13 × 7 workgroups for these sizes");
  expect(counts(withSettings(source.code, { SIDE: 8 }))).toBe("25 × 13 workgroups for these sizes");
  const tiled = rungOf(benchCase, "matmul-tiled").source;
  expect(withFollowing(tiled, tiled.code, "SIDE", 2)).toEqual({ SIDE: 2, BLOCKS: 4 });
});

test("a value that breaks a rule gives what the rule is for: wrong results", async () => {
  const benchCase = CASES.softmax.forward!({ rows: 37, cols: 260 });
  const { rung, source } = rungOf(benchCase, "softmax-workgroup");
  const code = withSettings(source.code, { SIZE: 96 });
  expect(broken(source, code).map(({ says }) => says)).toEqual(["SIZE is a power of two: trees and swaps halve it"]);
  await expect(withEdited({ ...source, code }, () => check(benchCase, rung))).rejects.toThrow("wrong result");
  await check(benchCase, rung); // and nothing of it is left
});
