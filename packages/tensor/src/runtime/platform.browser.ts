import type { AdapterChoice } from "./platform.node.ts";

export async function requestAdapter(): Promise<AdapterChoice> {
  const gpu = globalThis.navigator?.gpu;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("no WebGPU adapter");
  return { gpu, adapter, via: "browser" };
}
