import { check } from "../errors.ts";
import { provenance } from "../provenance.ts";
import { shaderError, type Compilation } from "./compilation.ts";
import { keyOf, workgroupSizeOf, type Kernel } from "./kernel.ts";
import type { Bound, Image, PooledBuffer } from "./pool.ts";

/** A compiled kernel at one set of overrides, with the bind groups that were made for it. */
export interface Pipeline {
  readonly gpu: GPUComputePipeline;
  readonly compilation: Compilation;
  /** Invocations in a workgroup. */
  readonly workgroupSize: number;
  bindGroup(given: readonly Bound[]): GPUBindGroup;
}

/** What a pipeline is compiled of. */
export interface PipelineSource {
  readonly kernel: Kernel;
  readonly overrides: Record<string, number>;
}

/** Bind groups kept per pipeline: a training step asks for the same ones again and again. */
const MAX_BIND_GROUPS = 4096;

/** Compiles each kernel once per set of overrides. */
export class Pipelines {
  #device: GPUDevice;
  #params: GPUBuffer;
  #made = new Map<Kernel, Map<string, Pipeline>>();
  #sources: PipelineSource[] = [];
  #dropBindGroups: (() => void)[] = [];
  #compilations: Compilation[] = [];

  constructor(device: GPUDevice, params: GPUBuffer) {
    this.#device = device;
    this.#params = params;
  }

  /** Of all that were asked for. */
  get sources(): readonly PipelineSource[] {
    return this.#sources;
  }

  /** @throws ShaderError when the kernel is known not to compile */
  get(kernel: Kernel, overrides: Record<string, number>): Pipeline {
    const variants = this.#variantsOf(kernel);
    const key = keyOf(overrides);
    let pipeline = variants.get(key);
    if (!pipeline) {
      this.#sources.push({ kernel, overrides });
      variants.set(key, (pipeline = this.#compile(kernel, overrides)));
    }
    if (pipeline.compilation.problem) throw shaderError(pipeline.compilation, provenance.op);
    return pipeline;
  }

  /** Compiles side by side what is not compiled yet. What fails is left to `get`, which knows for whom. */
  async compileAhead(sources: Iterable<PipelineSource>): Promise<void> {
    const device = this.#device;
    const one = async ({ kernel, overrides }: PipelineSource): Promise<void> => {
      const variants = this.#variantsOf(kernel);
      const key = keyOf(overrides);
      if (variants.has(key)) return;
      const workgroupSize = invocationsOf(kernel, overrides);
      device.pushErrorScope("validation");
      const { layout, descriptor } = this.#describe(kernel, overrides);
      const error = device.popErrorScope();
      const [gpu, invalid] = await Promise.all([device.createComputePipelineAsync(descriptor), error]);
      if (invalid || variants.has(key)) return;
      this.#sources.push({ kernel, overrides });
      const compilation: Compilation = { kernel, state: "good", settled: Promise.resolve() };
      variants.set(key, this.#pipelineOf({ compilation, workgroupSize, gpu }, layout));
    };
    await Promise.allSettled(Array.from(sources, one));
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

  #variantsOf(kernel: Kernel): Map<string, Pipeline> {
    let variants = this.#made.get(kernel);
    if (!variants) this.#made.set(kernel, (variants = new Map<string, Pipeline>()));
    return variants;
  }

  #describe(kernel: Kernel, overrides: Record<string, number>) {
    const device = this.#device;
    const module = device.createShaderModule({ label: kernel.file, code: kernel.code });
    const layout = device.createBindGroupLayout({
      label: kernel.file,
      entries: kernel.bindings.map(({ index, kind }) => ({
        binding: index,
        visibility: GPUShaderStage.COMPUTE,
        ...(kind === "image"
          ? { storageTexture: { access: "read-only", format: "rgba32float" } as const }
          : { buffer: { type: kind, hasDynamicOffset: kind === "uniform" } }),
      })),
    });
    const descriptor: GPUComputePipelineDescriptor = {
      label: kernel.file,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, constants: overrides },
    };
    return { module, layout, descriptor };
  }

  #compile(kernel: Kernel, overrides: Record<string, number>): Pipeline {
    const device = this.#device;
    const workgroupSize = invocationsOf(kernel, overrides);
    device.pushErrorScope("validation");
    const { module, layout, descriptor } = this.#describe(kernel, overrides);
    const gpu = device.createComputePipeline(descriptor);
    const compilation: Compilation = { kernel, state: "pending", settled: Promise.resolve() };
    compilation.settled = this.#settle(compilation, overrides, module, device.popErrorScope());
    this.#compilations.push(compilation);
    return this.#pipelineOf({ compilation, workgroupSize, gpu }, layout);
  }

  #pipelineOf(made: Omit<Pipeline, "bindGroup">, layout: GPUBindGroupLayout): Pipeline {
    const device = this.#device;
    const { kernel } = made.compilation;
    const groups = new Map<string, GPUBindGroup>();
    this.#dropBindGroups.push(() => groups.clear());
    return {
      ...made,
      bindGroup: (given) => {
        let key = "";
        for (const { id } of given) key += `${id},`;
        let group = groups.get(key);
        if (!group) {
          if (groups.size >= MAX_BIND_GROUPS) groups.clear();
          let next = 0;
          const entries = kernel.bindings.map(({ index, kind }) => ({
            binding: index,
            resource:
              kind === "uniform"
                ? { buffer: this.#params, size: kernel.paramsBytes }
                : kind === "image"
                  ? (given[next++] as Image).view
                  : { buffer: (given[next++] as PooledBuffer).gpu },
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

/** Invocations in a workgroup. @throws for an override that is not a number, before the compiler sees it */
function invocationsOf(kernel: Kernel, overrides: Record<string, number>): number {
  const [x, y, z] = workgroupSizeOf(kernel, overrides);
  for (const [name, value] of Object.entries(overrides)) {
    check(Number.isFinite(value), () => `${kernel.file}: the override ${name} is ${value}, not a finite number.`);
  }
  return x * y * z;
}
