import { destroy, device, init } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requestLeast } from "../packages/tensor/src/testing/other-devices.ts";
import { everyShader, type Shader } from "./shaders.ts";

let found: { shaders: Shader[]; problems: string[] };

// The least that WebGPU promises: 16 KiB of workgroup memory, 256 invocations in a workgroup, 8 storage buffers.
beforeAll(async () => {
  await init(); // for the global GPUAdapter
  await destroy();
  const restore = requestLeast();
  await init();
  restore();
  const { limits } = device().gpu;
  expect(limits.maxComputeWorkgroupStorageSize).toBe(16384);
  expect(limits.maxComputeInvocationsPerWorkgroup).toBe(256);
  found = await everyShader({ isLeast: true });
});
afterAll(destroy);

test("every op finds kernels that compile within the least limits that WebGPU promises", () => {
  expect(found.problems).toEqual([]);
  expect(found.shaders.length).toBeGreaterThan(300);
});

// naga, the compiler of Firefox and wgpu, panics where an override that sizes workgroup memory is declared behind it.
test("overrides are declared before workgroup memory", () => {
  const late = found.shaders.filter(({ code }) => {
    const source = code.replace(/\/\/.*$/gm, "");
    const memory = source.search(/var<workgroup>/);
    return memory >= 0 && source.lastIndexOf("override ") > memory;
  });
  expect(late.map(({ file }) => file)).toEqual([]);
});
