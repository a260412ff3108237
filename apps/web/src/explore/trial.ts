// Which kernels a rung runs, and running it with another source in place of one of them: for the explorer's worker, and for tests in Node.
import { device, dryRun, kernel, type Kernel } from "@gpugrad/tensor";
import type { BenchCase } from "../../../../packages/tensor/src/testing/bench-op.ts";
import { startOf } from "./launch.ts";
import type { Source } from "./protocol.ts";
import { withSettings } from "./source.ts";

/** The kernels that a rung dispatches, each once, with settings, parameters and workgroups as the host gives them. Nothing is compiled. */
export function sourcesOf(benchCase: BenchCase, rung: number | undefined): Source[] {
  const sources = new Map<string, Source>();
  dryRun(() => {
    const workload = benchCase.prepare(1, rung);
    const { pipelines, queue } = device();
    const overridden = new Map<Kernel, Record<string, number>>();
    const get = pipelines.get.bind(pipelines);
    pipelines.get = (code, overrides) => (overridden.set(code, overrides), get(code, overrides));
    const dispatch = queue.dispatch.bind(queue);
    queue.dispatch = (code, pipeline, buffers, params, groups) => {
      const { file } = code;
      if (!sources.has(file))
        sources.set(file, {
          file,
          code: withSettings(code.code, overridden.get(code)!),
          params: { ...params },
          groups,
        });
      dispatch(code, pipeline, buffers, params, groups);
    };
    workload.run(0);
  });
  return [...sources.values()];
}

/** Does `work` with `edited` in place of the kernel of its file, started as its settings want it. */
export async function withEdited<T>(edited: Source, work: () => Promise<T>): Promise<T> {
  const { pipelines, queue } = device();
  const own = kernel(edited.file, edited.code);
  const [get, dispatch] = [pipelines.get.bind(pipelines), queue.dispatch.bind(queue)];
  pipelines.get = (code, overrides) => (code.file === own.file ? get(own, {}) : get(code, overrides));
  queue.dispatch = (code, pipeline, buffers, params, groups) => {
    if (code.file !== own.file) return dispatch(code, pipeline, buffers, params, groups);
    const start = startOf(edited, { params, groups });
    dispatch(own, pipeline, buffers, start.params, start.groups);
  };
  try {
    return await work();
  } finally {
    Object.assign(pipelines, { get });
    Object.assign(queue, { dispatch });
  }
}
