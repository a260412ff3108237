import { check } from "../errors.ts";
import { provenance } from "../provenance.ts";
import { shaderError, type Compilation } from "./compilation.ts";
import { keyOf, workgroupSizeOf, type Kernel } from "./kernel.ts";
import type { PooledBuffer } from "./pool.ts";

/** A compiled kernel at one set of overrides, with the bind groups that were made for it. */
export interface Pipeline {
  readonly gpu: GPUComputePipeline;
  readonly compilation: Compilation;
  /** Invocations in a workgroup. */
  readonly workgroupSize: number;
  bindGroup(buffers: readonly PooledBuffer[]): GPUBindGroup;
}

/** Bind groups kept per pipeline: a training step asks for the same ones again and again. */
const MAX_BIND_GROUPS = 4096;

/** Compiles each kernel once per set of overrides. */
export class Pipelines {
  #device: GPUDevice;
  #params: GPUBuffer;
  #made = new Map<Kernel, Map<string, Pipeline>>();
  #dropBindGroups: (() => void)[] = [];
  #compilations: Compilation[] = [];

  constructor(device: GPUDevice, params: GPUBuffer) {
    this.#device = device;
    this.#params = params;
  }

  /** @throws ShaderError when the kernel is known not to compile */
  get(kernel: Kernel, overrides: Record<string, number>): Pipeline {
    let variants = this.#made.get(kernel);
    if (!variants) this.#made.set(kernel, (variants = new Map<string, Pipeline>()));
    const key = keyOf(overrides);
    let pipeline = variants.get(key);
    if (!pipeline) variants.set(key, (pipeline = this.#compile(kernel, overrides)));
    if (pipeline.compilation.problem) throw shaderError(pipeline.compilation, provenance.op);
    return pipeline;
  }

  /** Waits until it is known of every kernel whether it compiles. @throws ShaderError for one that does not, unless it was thrown before */
  async settled(): Promise<void> {
    await Promise.all(this.#compilations.map(({ settled }) => settled));
    const failed = this.#compilations.find(({ problem, reported }) => problem && !reported);
    if (failed) throw shaderError(failed, "user");
  }

  /** Forgets all bind groups, and with them the buffers they hold. */
  dropBindGroups(): void {
    for (const drop of this.#dropBindGroups) drop();
  }

  #compile(kernel: Kernel, overrides: Record<string, number>): Pipeline {
    const device = this.#device;
    const [x, y, z] = workgroupSizeOf(kernel, overrides);
    for (const [name, value] of Object.entries(overrides)) {
      check(Number.isFinite(value), () => `${kernel.file}: the override ${name} is ${value}, not a finite number.`);
    }
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: kernel.file, code: kernel.code });
    const layout = device.createBindGroupLayout({
      label: kernel.file,
      entries: kernel.bindings.map(({ index, kind }) => ({
        binding: index,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: kind, hasDynamicOffset: kind === "uniform" },
      })),
    });
    const gpu = device.createComputePipeline({
      label: kernel.file,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, constants: overrides },
    });
    const compilation: Compilation = { kernel, state: "pending", settled: Promise.resolve() };
    compilation.settled = this.#settle(compilation, overrides, module, device.popErrorScope());
    this.#compilations.push(compilation);

    const groups = new Map<string, GPUBindGroup>();
    this.#dropBindGroups.push(() => groups.clear());
    return {
      gpu,
      compilation,
      workgroupSize: x * y * z,
      bindGroup: (buffers) => {
        let key = "";
        for (const { id } of buffers) key += `${id},`;
        let group = groups.get(key);
        if (!group) {
          if (groups.size >= MAX_BIND_GROUPS) groups.clear();
          let next = 0;
          const entries = kernel.bindings.map(({ index, kind }) => ({
            binding: index,
            resource:
              kind === "uniform"
                ? { buffer: this.#params, size: kernel.paramsBytes }
                : { buffer: buffers[next++]!.gpu },
          }));
          groups.set(key, (group = device.createBindGroup({ label: kernel.file, layout, entries })));
        }
        return group;
      },
    };
  }

  async #settle(
    compilation: Compilation,
    overrides: Record<string, number>,
    module: GPUShaderModule,
    scope: Promise<GPUError | null>,
  ): Promise<void> {
    const error = await scope.catch(() => null); // a lost device rejects, and is reported elsewhere
    compilation.state = error ? "failed" : "good";
    if (!error) return;
    const { kernel } = compilation;
    const { messages } = await module.getCompilationInfo();
    const lines = kernel.code.split("\n");
    const where = messages
      .filter((m) => m.type === "error")
      .map((m) => `${kernel.file}:${m.lineNum}:${m.linePos} ${m.message}\n    ${lines[m.lineNum - 1]?.trim() ?? ""}`);
    const values = JSON.stringify(overrides);
    compilation.problem = `${kernel.file}: the kernel does not compile (overrides ${values}):\n${where.join("\n") || error.message}`;
  }
}
