import { create, globals } from "webgpu";

/** A WebGPU adapter and how it was come by. */
export interface AdapterChoice {
  gpu: GPU;
  adapter: GPUAdapter;
  /** Which step of the search found it. */
  via: "GPUGRAD_ADAPTER" | "hardware" | "lavapipe" | "swiftshader" | "browser";
}

export async function requestAdapter(): Promise<AdapterChoice> {
  Object.assign(globalThis, globals);
  process.env["XDG_RUNTIME_DIR"] ??= "/tmp";
  const gpu = create([]);
  (globalThis as Record<string, unknown>)["gpugradGpu"] = gpu; // collected while a device lives, it crashes the process
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error("no WebGPU adapter");
  return { gpu, adapter, via: "lavapipe" };
}
