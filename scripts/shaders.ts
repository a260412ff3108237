import { device, scope, type AdapterInfo } from "@gpugrad/tensor";
import { rooms } from "./xray/calls.ts";

/** A kernel as it is put together, and the values of its overrides. */
export interface Shader {
  file: string;
  code: string;
  overrides: Record<string, number>;
}

/** Kernels are chosen by what an adapter offers: the ladders of CPUs, of GPUs with subgroups, and of those without. */
const views: Partial<AdapterInfo>[] = [
  {},
  { cpu: false },
  { cpu: false, subgroupSize: [1, 1], features: ["timestamp-query"] },
];

/**
 * Calls every op, over the shapes and options at which a choice of kernel changes, and gives the kernels that were asked for, each at its
 * tunings. They are handed to the device to compile, which reports what it refuses when something is read; nothing is dispatched.
 */
export function everyShader(): { shaders: Shader[]; problems: string[] } {
  const { adapter, pipelines, queue } = device();
  const asItIs = { ...adapter };
  const shaders = new Map<string, Shader>();
  const problems: string[] = [];
  const compile = pipelines.get.bind(pipelines);
  pipelines.get = (kernel, overrides) => {
    shaders.set(`${kernel.code} ${JSON.stringify(overrides)}`, { file: kernel.file, code: kernel.code, overrides });
    return compile(kernel, overrides);
  };
  queue.dispatch = () => undefined;
  for (const view of views) {
    Object.assign(adapter, asItIs, view);
    for (const [room, calls] of Object.entries(rooms)) {
      try {
        scope(calls);
      } catch (error) {
        problems.push(`${room}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  Object.assign(adapter, asItIs);
  return { shaders: [...shaders.values()], problems };
}
