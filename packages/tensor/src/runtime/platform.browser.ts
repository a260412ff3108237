import type { AdapterChoice, ContextVariable } from "./platform.ts";

/**
 * Asks the browser for its fastest adapter.
 *
 * @throws if the browser has no WebGPU, or offers no adapter.
 */
export async function requestAdapter(): Promise<AdapterChoice> {
  // The types promise `navigator.gpu`; browsers do so only with WebGPU switched on, and on https or localhost.
  const gpu = (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  if (!gpu) {
    const secure = globalThis.isSecureContext
      ? ""
      : " This page is not a secure context: serve it over https or from localhost.";
    throw new Error(
      `requestAdapter: this browser has no navigator.gpu.${secure} WebGPU is on by default in Chrome and Edge 113+ ` +
        "(Linux: Chrome 144+, or --enable-unsafe-webgpu --enable-features=Vulkan), Safari 26+ and Firefox 141+ (Windows; macOS 145+).",
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new Error(
      "requestAdapter: navigator.gpu offers no adapter: the GPU or its driver is blocked. See chrome://gpu (about:support in Firefox); " +
        "switch on hardware acceleration, or start Chrome with --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader to compute on the CPU.",
    );
  }
  const { info } = adapter;
  const description =
    info.description || [info.vendor, info.architecture].filter(Boolean).join(" ") || "unnamed adapter";
  return { gpu, adapter, via: "browser", description, tried: [], release: () => {} };
}

/**
 * Firefox notices that the GPU is done when something is submitted, and else every 100 ms: until the function that this returns is called, an empty
 * submit is made every few milliseconds. Others notice by themselves.
 */
export function hasten({ queue }: GPUDevice): () => void {
  if (!navigator.userAgent.includes("Firefox/")) return () => undefined;
  const timer = setInterval(() => queue.submit([]), 1);
  return () => clearInterval(timer);
}

/** A browser has no environment: `init()` takes options. */
export const environment = (_name: string): string | undefined => undefined;

/** A browser has no cache folder: `init({ tuning })` takes what was measured. */
export const readTuning: (adapterKey: string) => Promise<unknown> = () => Promise.resolve(undefined);

/** Likewise: `init({ leaveOut })`. */
export const readLeftOut = readTuning;

/** Nothing is kept: trials are made at each start. */
export const readPassed: (adapterKey: string, trial: object) => Promise<{ found?: number } | undefined> = () =>
  Promise.resolve(undefined);

/** Likewise. */
export const keepPassed: (adapterKey: string, trial: object, found?: number) => Promise<void> = () => Promise.resolve();

/** @throws always: a page keeps what it wants to hand to `init()` */
export const writeLeftOut: (adapterKey: string, leftOut: readonly string[]) => Promise<string> = () =>
  Promise.reject(new Error("a browser has no cache folder: pass init({ leaveOut }) the kernels to leave out."));

/** A browser does not keep asynchronous activities apart: the value of the one that began last is in force for all. */
export function contextVariable<T>(): ContextVariable<T> {
  const frames: { readonly value: T }[] = [];
  return {
    getStore: () => frames.at(-1)?.value,
    run(value, work) {
      const frame = { value };
      const leave = (): void => void frames.splice(frames.lastIndexOf(frame), 1);
      frames.push(frame);
      let result: ReturnType<typeof work>;
      try {
        result = work();
      } catch (error) {
        leave();
        throw error;
      }
      if (result instanceof Promise) return result.finally(leave) as typeof result;
      leave();
      return result;
    },
  };
}

/** A browser doesn't list its adapters. */
export const adapterNames: () => Promise<string[]> = () => Promise.resolve([]);
