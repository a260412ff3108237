import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeSafetensors } from "@gpugrad/bert";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compare } from "./tolerance.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "parity-"));

/** A reference of four cases: relu right, relu wrong by 1, an op of another library, an optimizer of another. */
beforeAll(async () => {
  mkdirSync(join(dir, "ops"));
  const exact = { rtol: 0, atol: 0 };
  const relu = {
    attrs: {},
    inputs: ["x"],
    outputs: ["y"],
    grad_outputs: ["dy"],
    grads: ["dx"],
    special: false,
    ...exact,
  };
  writeFileSync(
    join(dir, "ops/relu.json"),
    JSON.stringify({ op: "relu", cases: ["right", "wrong"].map((name) => ({ ...relu, name })) }),
  );
  const tensor = (name: string, values: number[]) => ({
    ...{ name, dtype: "F32" as const, shape: [values.length] },
    bytes: new Uint8Array(Float32Array.from(values).buffer),
  });
  const cases = { right: [0, 3], wrong: [0, 4] };
  const tensors = Object.entries(cases).flatMap(([name, y]) => [
    ...[tensor(`${name}.x`, [-2, 3]), tensor(`${name}.y`, y)],
    ...[tensor(`${name}.dy`, [5, 7]), tensor(`${name}.dx`, [0, 7])],
  ]);
  await writeSafetensors(join(dir, "ops/relu.safetensors"), tensors);
  writeFileSync(
    join(dir, "ops/unheard_of.json"),
    JSON.stringify({ op: "unheard_of", cases: [{ ...relu, name: "case" }] }),
  );
  mkdirSync(join(dir, "optim"));
  writeFileSync(join(dir, "optim/shampoo.json"), JSON.stringify({ cases: [{ name: "case" }] }));
});
afterAll(() => rmSync(dir, { recursive: true }));

function parity(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = [join(root, "scripts/run.mjs"), "scripts/parity/cli.ts", ...args];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, program, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode!, stdout, stderr }),
    );
  });
}

test("exits 1 on a failure, and writes what failed and what was not covered", async () => {
  const json = join(dir, "report.json");
  const { code, stdout } = await parity("--reference", dir, "--json", json);
  expect(code).toBe(1);
  expect(stdout).toContain("4 cases: 1 passed, 1 failed, 2 not covered, 0 not promised");
  const report = JSON.parse(readFileSync(json, "utf8")) as Record<string, object[]>;
  const counts = { cases: 3, passed: 1, failed: 1, not_covered: 1, not_promised: 0 };
  expect(report["groups"]![0]).toMatchObject({ group: "ops", ...counts, worst: { case: "ops/relu/wrong", error: 1 } });
  expect(report["failures"]).toEqual([{ case: "ops/relu/wrong", tensor: "y", error: 1, tolerance: 0 }]);
  expect(report["not_covered"]!.map((r) => (r as { case: string }).case)).toEqual([
    "ops/unheard_of/case",
    "optim/shampoo/case",
  ]);
});

test("exits 0 when all that was asked for passes, 2 for wrong usage", async () => {
  expect(await parity("--reference", dir, "--only", "right")).toMatchObject({ code: 0 });
  expect((await parity("--reference", join(dir, "nowhere"))).code).toBe(2);
  expect((await parity("--unknown")).code).toBe(2);
  expect((await parity("--only", "[")).code).toBe(2);
  expect((await parity("--reference", dir, "--only", "nothing")).stderr).toContain("no case under");
});

test("comparing: NaN equals NaN only, an infinity itself only", () => {
  const share = (got: number, want: number, special?: { finiteInput: boolean }) => {
    const values = (v: number) => ({ data: [v], shape: [] });
    const { share, notPromised } = compare("x", values(got), values(want), { rtol: 0.1, atol: 1 }, special);
    return notPromised.length > 0 ? notPromised[0] : share;
  };
  expect(share(11, 10)).toBeCloseTo(0.5);
  expect(share(NaN, NaN)).toBe(0);
  expect(share(NaN, 10)).toBe(Infinity);
  expect(share(10, NaN)).toBe(Infinity);
  expect(share(Infinity, Infinity)).toBe(0);
  expect(share(-Infinity, Infinity)).toBe(Infinity);
  expect(share(3e38, Infinity)).toBe(Infinity);
  expect(share(-0, 0)).toBe(0);
  expect(share(10, NaN, { finiteInput: false })).toBe("NaN and infinity");
  expect(share(-0, 0, { finiteInput: true })).toBe("sign of zero");
  expect(share(NaN, 10, { finiteInput: true })).toBe(Infinity);
  expect(compare("x", { data: [1], shape: [1] }, { data: [1], shape: [] }, { rtol: 0, atol: 0 }).error).toContain(
    "shape [1]",
  );
});
