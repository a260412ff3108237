import { afterEach, describe, expect, test } from "vitest";
import { adapterInfo, SUBGROUP_MATRIX } from "./adapter.ts";
import { destroy, device, init, problemWith, withDevice } from "./init.ts";
import { constantOf, kernel } from "./kernel.ts";
import { nullGpu } from "./null-gpu.ts";
import type { AdapterChoice } from "./platform.ts";

afterEach(destroy);

/** What `adapterInfo` says of an adapter with this info and these features. */
function described(info: object, features: string[] = [], description = "Card") {
  const choice = { adapter: { info: { vendor: "acme", architecture: "one", device: "card", ...info } }, description, via: "hardware" }; // prettier-ignore
  const limits = {
    maxComputeWorkgroupStorageSize: 1000,
    maxComputeInvocationsPerWorkgroup: 200,
    maxStorageBuffersPerShaderStage: 8,
  };
  return adapterInfo(
    choice as unknown as AdapterChoice,
    { features: new Set(features), limits } as unknown as GPUDevice,
  );
}

describe("an adapter", () => {
  test("is a CPU by any of its names; subgroups count only where they are offered, and have a size", () => {
    expect(described({})).toEqual({
      ...{ description: "Card", vendor: "acme", architecture: "one", cpu: false, subgroupSize: [1, 1] },
      ...{ workgroupBytes: 1000, workgroupInvocations: 200, storageBuffers: 8, subgroupMatrix: undefined },
      ...{ features: [], via: "hardware" },
    });
    for (const info of [{ architecture: "swiftshader" }, { device: "llvmpipe (LLVM)" }, { vendor: "Software" }])
      expect(described(info).cpu).toBe(true);
    expect(described({}, [], "Microsoft Basic Render Driver").cpu).toBe(true);
    const sizes = { subgroupMinSize: 8, subgroupMaxSize: 32 };
    expect(described(sizes).subgroupSize).toEqual([1, 1]);
    expect(described(sizes, ["timestamp-query", "subgroups"])).toMatchObject({ subgroupSize: [8, 32], features: ["subgroups", "timestamp-query"] }); // prettier-ignore
    expect(described({ subgroupMinSize: 0, subgroupMaxSize: 0 }, ["subgroups"]).subgroupSize).toEqual([1, 1]);
  });

  test("has the largest matrices of f16 that are summed in f32", () => {
    const config = (M: number, componentType = "f16", resultComponentType = "f32") => ({ M, N: 8, K: 4, componentType, resultComponentType }); // prettier-ignore
    const subgroupMatrixConfigs = [config(8), config(16), config(4), config(64, "f32"), config(64, "f16", "f16")];
    const matrices = (info: object, features = [SUBGROUP_MATRIX]) => described(info, features).subgroupMatrix;
    expect(matrices({ subgroupMatrixConfigs })).toEqual({ M: 16, N: 8, K: 4, problem: undefined });
    expect(matrices({ subgroupMatrixConfigs }, [])).toBeUndefined();
    expect(matrices({ subgroupMatrixConfigs: [config(64, "f32")] })).toBeUndefined();
    expect(matrices({})).toBeUndefined();
  });
});

describe("devices beside the one at hand", () => {
  test("a trial runs on a device of its own; what it throws is the problem, and the other is back afterwards", async () => {
    const home = await init();
    let tried = home;
    expect(await problemWith(async () => void (tried = device()))).toBeUndefined();
    expect([tried === home, tried.gone, device() === home]).toEqual([false, true, true]);
    expect(await problemWith(() => Promise.reject(new Error("wrong numbers")))).toBe("wrong numbers");
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- drivers may
    expect(await problemWith(() => Promise.reject("text"))).toBe("text");
    expect(device()).toBe(home);
  });

  test("one that computes nothing stands in while some work runs, also when that throws", async () => {
    const home = await init();
    const twin = home.imitation(nullGpu(home.gpu), 1000);
    expect([twin.memoryLimit, twin.adapter === home.adapter, twin.tuning === home.tuning]).toEqual([1000, true, true]);
    expect(withDevice(twin, () => device() === twin)).toBe(true);
    expect(() => withDevice(twin, () => { throw new Error("from within"); })).toThrow("from within"); // prettier-ignore
    expect(device()).toBe(home);
    await twin.destroy();
    await twin.destroy(); // again: nothing happens
    expect(twin.gone).toBe(true);

    const gpu = nullGpu(home.gpu);
    expect([gpu.limits === home.gpu.limits, gpu.features === home.gpu.features]).toEqual([true, true]);
    const buffer = gpu.createBuffer({ size: 8, usage: 0 });
    expect([buffer.size, buffer.getMappedRange().byteLength]).toEqual([8, 8]);
    await expect(buffer.mapAsync(1)).rejects.toThrow("nothing was computed: this is a dry run");
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.dispatchWorkgroups(1);
    pass.end();
    expect(encoder.finish()).toEqual({});
    expect(await gpu.popErrorScope()).toBeNull();
    await gpu.queue.onSubmittedWorkDone();
  });
});

test("declarations are read however they are spaced, and comments hold none", () => {
  const source = (text: string) => `${text}\n@compute @workgroup_size(8) fn main() {}`;
  const types = (text: string) => kernel("test.wgsl", source(text)).bindings.map(({ element }) => element);
  const x = "@group(0) @binding(0) var<storage, read> x: array<V>;";
  for (const alias of [
    "alias V = f32;",
    "alias  V=i32 ;",
    "alias V  =  vec4<u32>;",
    "alias Wide=vec2f;\nalias V=Wide;",
  ])
    expect(types(`${alias}\n${x}`), alias).toEqual([/i32/.test(alias) ? "i32" : /u32/.test(alias) ? "u32" : "f32"]);
  expect(types(`// alias V = i32;\n${x}`)).toEqual([undefined]);
  expect(types("@group(0)@binding(3)\n  var<storage,read_write>y:array<vec4u , 5>;")).toEqual(["u32"]);
  const named = kernel("test.wgsl", source("override A:u32=3;\nconst  LONG_NAME = 12u ;\noverride B: bool = true;"));
  expect([constantOf(named, "a"), constantOf(named, "long_name"), named.constants.has("B")]).toEqual([3, 12, false]);
  expect(() => kernel("test.wgsl", "fn main() {}")).toThrow("test.wgsl: no @workgroup_size found");
  expect(() => kernel("test.wgsl", source("struct Params { m: mat2x2f }"))).toThrow(
    "Params.m has type mat2x2f: only u32",
  );
  expect(() => kernel("test.wgsl", source("struct Params { m: array<vec2u, 4> }"))).toThrow("a uniform array needs elements of 16 bytes"); // prettier-ignore
  const { params, paramsBytes } = kernel(
    "test.wgsl",
    source("struct Params { a: f32, b: vec2i, c: u32, d: vec3f, e: i32 }"),
  );
  expect(params.map(({ name, offset, count, scalar }) => [name, offset, count, scalar])).toEqual([
    ["a", 0, 1, "f32"],
    ["b", 8, 2, "i32"],
    ["c", 16, 1, "u32"],
    ["d", 32, 3, "f32"],
    ["e", 44, 1, "i32"],
  ]);
  expect(paramsBytes).toBe(48);
});
