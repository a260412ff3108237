import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { compilerTables } from "./compilers.ts";
import { invariantsOf } from "./invariants.ts";
import { invocationsOf, settingsOf, withSettings, workgroupBytes } from "./source.ts";

const ops = fileURLToPath(new URL("../../../../packages/tensor/src/ops/", import.meta.url));
const codeOf = (path: string): string => readFileSync(`${ops}${path}`, "utf8");
const limits = { cpu: true, workgroupBytes: 32768, workgroupInvocations: 256, subgroupSize: [8, 32] as const };

test("settings are found at their lines, and take other values", () => {
  const code = codeOf("softmax/softmax-subgroup.wgsl");
  const settings = settingsOf(code);
  expect(settings.map(({ name, kind, value }) => `${kind} ${name} ${value}`)).toEqual(["const WIDTH 4", "const VECTORS 2", "override LOG false", "override SIZE 128", "override TEAM 32", "override SPAN 32"]); // prettier-ignore
  for (const { name, line } of settings) expect(code.split("\n")[line]).toContain(name);
  const changed = withSettings(code, { SIZE: 64, LOG: 1, VECTORS: 4, OTHER: 7 });
  expect(changed.split("\n").length).toBe(code.split("\n").length);
  expect(changed).toContain("override SIZE: u32 = 64;");
  expect(changed).toContain("override LOG: bool = true;");
  expect(changed).toContain("const VECTORS = 4u;");
});

test("bytes of workgroup memory, as counted by hand", () => {
  const tiled = codeOf("attention/attention-tiled.wgsl");
  // left 64 · 9, right max(64 · 9, 32 · 2 · 8), parts 128: vec4f each
  expect(workgroupBytes(tiled)).toBe(16 * (576 + 576 + 128));
  expect(workgroupBytes(withSettings(tiled, { RUNS: 1 }))).toBe(16 * (576 + 512 + 128));
  expect(workgroupBytes(codeOf("matmul/matmul-workgroup-tile.wgsl"))).toBe(2 * 16 * 17 * 4);
  expect(workgroupBytes(codeOf("softmax/softmax-workgroup.wgsl"))).toBe(256 * 8); // two f32 for each invocation
  const large = codeOf("matmul/matmul-tiled.wgsl"); // 2 tiles of 4 blocks of four lines of 32 vec4s, and a gap of 2
  expect(workgroupBytes(large)).toBe(2 * 4 * (4 * 32 + 2) * 16);
  expect(workgroupBytes("var<workgroup> x: array<mystery, 4>;")).toBeUndefined();
});

test("workgroup memory of every kernel can be counted", () => {
  for (const path of readdirSync(ops, { recursive: true, encoding: "utf8" }))
    if (path.endsWith(".wgsl") && codeOf(path).includes("var<workgroup>") && codeOf(path).includes("@compute"))
      expect(workgroupBytes(codeOf(path)), path).toBeGreaterThan(0);
});

test("invariants hold as kernels ship, and a wrong choice breaks one", () => {
  const broken = (path: string, values: Record<string, number> = {}) =>
    invariantsOf({ file: `ops/${path}`, code: codeOf(path), params: { rows: 1, vectors: 1, cols: 4, M: 1, N: 1 }, groups: [1, 1, 1] }, withSettings(codeOf(path), values), limits).filter(({ holds }) => !holds).map(({ says }) => says); // prettier-ignore
  expect(broken("softmax/softmax-workgroup.wgsl")).toEqual([]);
  expect(broken("softmax/softmax-workgroup.wgsl", { SIZE: 96 })).toEqual(["SIZE is a power of two: trees and swaps halve it"]); // prettier-ignore
  expect(broken("softmax/softmax-workgroup.wgsl", { SIZE: 512 })).toEqual([
    "512 invocations in a workgroup, of 256 here",
  ]);
  expect(broken("softmax/softmax-subgroup.wgsl", { SPAN: 8, TEAM: 8 })).toEqual([]);
  expect(broken("softmax/softmax-subgroup.wgsl", { SPAN: 16, TEAM: 16 })[0]).toContain("smallest subgroup");
  expect(broken("matmul/matmul-tiled.wgsl", { SIDE: 1 })).toEqual(["BLOCKS = SIDE · SIDE"]);
  expect(broken("attention/attention-tiled.wgsl")).toEqual([]);
  expect(broken("attention/attention-tiled.wgsl", { OWN: 1 })).toEqual(["OWN · 8 ≥ VECTORS"]);
  expect(invocationsOf(codeOf("attention/attention-tiled.wgsl"))).toBe(128);
  expect(invocationsOf(codeOf("matmul/matmul-tiled.wgsl"))).toBe(256);
});

test("tables of compilers are read off the pages", () => {
  const page = readFileSync(fileURLToPath(new URL("../../../../docs/kernels/softmax.md", import.meta.url)), "utf8");
  const [measured, compiled] = compilerTables(page);
  expect(measured!.head).toContain("registers, AMD / NVIDIA");
  expect(compiled!.head[0]).toBe("kernel");
  expect(compiled!.rows.find(([kernel]) => kernel === "softmax-subgroup, 256 columns")).toEqual(["softmax-subgroup, 256 columns", "2", "48 / 24", "32 / 48", "198 / 346", "1, of 16"]); // prettier-ignore
});
