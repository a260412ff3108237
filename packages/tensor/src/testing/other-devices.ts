import { afterAll, beforeAll, beforeEach, describe } from "vitest";
import { type Device } from "../runtime/device.ts";
import { destroy, device, init } from "../runtime/init.ts";
import { kernel, type Kernel } from "../runtime/kernel.ts";

type Request = (this: GPUAdapter, descriptor: GPUDeviceDescriptor) => Promise<GPUDevice>;

/** Runs the tests that `define` defines on a device with the least limits that WebGPU promises: 16 KiB of workgroup memory, 256 invocations. */
export function withLeastLimits(define: () => void): void {
  describe("with the least limits", () => {
    let restore: () => void;
    beforeAll(async () => {
      await init(); // for the global GPUAdapter
      await destroy();
      restore = requestLeast();
    });
    afterAll(() => restore());
    define();
  });
}

/** Until the function that it returns is called, adapters give devices with the least limits. */
export function requestLeast(): () => void {
  const { prototype } = GPUAdapter;
  const requestDevice = Object.getOwnPropertyDescriptor(prototype, "requestDevice")!.value as Request;
  prototype.requestDevice = function ({ requiredFeatures = [] } = {}) {
    return requestDevice.call(this, { requiredFeatures });
  };
  return () => void (prototype.requestDevice = requestDevice);
}

/**
 * Runs the tests that `define` defines with kernels for a GPU whose subgroups have so many lanes, whatever this adapter's have. Swapping
 * goes through workgroup memory, and from beyond a subgroup comes what can't be overlooked.
 */
export function withSubgroupsOf(lanes: number, define: () => void): void {
  describe(`with subgroups of ${lanes}`, () => {
    const changed = new WeakSet<Device>();
    beforeEach(() => {
      const current = device();
      if (changed.has(current)) return;
      changed.add(current);
      const { adapter, pipelines } = current;
      const features = [...new Set([...adapter.features, "subgroups"])];
      Object.assign(adapter, { cpu: false, subgroupSize: [lanes, lanes], subgroupMatrix: undefined, features });
      const made = new Map<Kernel, Kernel>();
      const get = pipelines.get.bind(pipelines);
      pipelines.get = (base, overrides) => {
        if (!made.has(base)) made.set(base, swappingByMemory(base, lanes));
        return get(made.get(base)!, overrides);
      };
    });
    define();
  });
}

/** The kernel in WGSL without subgroups, if it needs no more of them than swapping. */
function swappingByMemory(base: Kernel, lanes: number): Kernel {
  if (!/^enable subgroups;$/m.test(base.code)) return base;
  const code = base.code
    .replace(/^enable subgroups;$/m, "")
    .replace(/^fn \w+\(mine: (f32|vec2f)[^]*?^}/gm, (body, type: string) =>
      body.replace(/subgroupShuffleXor\((\w+), distance\)/g, (_, value: string) =>
        type === "f32" ? `swapped(vec2f(${value}, 0.0), distance).x` : `swapped(${value}, distance)`,
      ),
    )
    .replace(/^fn main\([^{]*\{/m, (head) => `${head}\n  me = lane;`);
  return kernel(
    base.file,
    `${code}
var<private> me: u32;
var<workgroup> swapping: array<vec2f, SIZE>;
fn swapped(value: vec2f, distance: u32) -> vec2f {
  workgroupBarrier(); // all have read what was there before
  swapping[me] = value;
  workgroupBarrier();
  return select(vec2f(1e30), swapping[me ^ distance], (me ^ distance) / ${lanes}u == me / ${lanes}u);
}
`,
  );
}
