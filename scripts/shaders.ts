import { device, scope, type AdapterInfo } from "@gpugrad/tensor";
import { create } from "webgpu";
import { Pipelines } from "../packages/tensor/src/runtime/pipelines.ts";
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
 * tunings, and what failed. Nothing is dispatched, and Dawn's null backend compiles them, at the least limits that WebGPU promises: it
 * checks kernels as every backend does, but has no driver, which would take minutes.
 * @param isLeast whether the device in use has those limits too; on a larger one kernels are chosen that do not compile there
 */
export async function everyShader({
  isLeast,
}: {
  isLeast: boolean;
}): Promise<{ shaders: Shader[]; problems: string[] }> {
  const { adapter, pipelines, queue, gpu } = device();
  const asItIs = { ...adapter };
  const shaders = new Map<string, Shader>();
  const problems: string[] = [];
  const dawn = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
  const offered = (await dawn.requestAdapter())!;
  const requiredFeatures = [...gpu.features].filter((name) => offered.features.has(name)) as GPUFeatureName[];
  const compiler = await offered.requestDevice({ requiredFeatures });
  const checking = new Pipelines(compiler, compiler.createBuffer({ size: 4, usage: GPUBufferUsage.UNIFORM }));
  pipelines.get = (kernel, overrides) => {
    shaders.set(`${kernel.code} ${JSON.stringify(overrides)}`, { file: kernel.file, code: kernel.code, overrides });
    return checking.get(kernel, overrides);
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
  await checking.settled().catch((error: unknown) => isLeast && problems.push(String(error)));
  compiler.destroy();
  return { shaders: [...shaders.values()], problems };
}
