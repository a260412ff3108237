import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { destroy, init } from "@gpugrad/tensor";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

// How wide subgroups are is a matter of the device. Lavapipe takes it from the width of the vectors that it compiles for, whatever the
// CPU has, so here the same kernels run with four, eight and sixteen lanes.

describe("kernels with subgroups are right with", () => {
  test.each([
    [4, "128"],
    [8, "256"],
    [16, "512"],
  ])("%i lanes", async (lanes, LP_NATIVE_VECTOR_WIDTH) => {
    const { adapter } = await init();
    await destroy();
    if (!adapter.description.startsWith("llvmpipe")) return expect(adapter.subgroupSize[0]).toBeGreaterThan(0); // others have their own
    const env = { ...process.env, LP_NATIVE_VECTOR_WIDTH };
    const { stdout } = await promisify(execFile)("node", ["scripts/run.mjs", "scripts/subgroup-sizes.ts"], {
      cwd: root,
      env,
    });
    expect(JSON.parse(stdout.trim())).toMatchObject({ subgroupSize: [lanes, lanes] });
  });
});
