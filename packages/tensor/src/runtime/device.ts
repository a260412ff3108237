import { environment, readTuning, requestAdapter } from "#platform";
import { checkOptions } from "../arguments.ts";
import { check, DeviceError, DeviceLostError, GpugradError, OutOfMemoryError } from "../errors.ts";
import { Pipelines, refuseFailed } from "./pipelines.ts";
import { nullGpu } from "./null-gpu.ts";
import type { AdapterChoice } from "./platform.ts";
import { Pool, type PooledBuffer } from "./pool.ts";
import { INPUTS_BEFORE, Queue } from "./queue.ts";
import { showBytes } from "./show-bytes.ts";
import { adapterKey, choicesFor, type Tuning } from "./tuning.ts";

/** What `init()` found: for the reader, and for the choice of kernels. */
export interface AdapterInfo {
  /** The adapter's own words: `llvmpipe (LLVM 19.1.7, 256 bits)`. */
  readonly description: string;
  readonly vendor: string;
  readonly architecture: string;
  /** Runs on the CPU: kernels without workgroup memory win there. */
  readonly cpu: boolean;
  /** Smallest and largest number of lanes that work in lockstep; 1 where subgroups aren't offered. */
  readonly subgroupSize: readonly [min: number, max: number];
  /** Bytes of memory, and invocations, that a workgroup may have on this device. */
  readonly workgroupBytes: number;
  readonly workgroupInvocations: number;
  /** What matrix units multiply by one instruction, where WebGPU lets subgroups use them: f16, with sums in f32. */
  readonly subgroupMatrix: SubgroupMatrix | undefined;
  readonly features: readonly string[];
  readonly via: AdapterChoice["via"];
}

/** M × K by K × N in one instruction of a subgroup. */
export interface SubgroupMatrix {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** What went wrong when it was tried at the start: no kernel uses it then. */
  problem: string | undefined;
}

const CPU_ADAPTERS = /llvmpipe|lavapipe|swiftshader|software|basic render/i;

/** Not in the standard yet, and so not in its types. */
const SUBGROUP_MATRIX = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

interface SubgroupMatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** The largest shape with factors in f16 and sums in f32. */
function subgroupMatrixOf(info: GPUAdapterInfo): SubgroupMatrix | undefined {
  const configs = (info as { subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig> }).subgroupMatrixConfigs ?? [];
  const [best] = [...configs]
    .filter((config) => config.componentType === "f16" && config.resultComponentType === "f32")
    .sort((x, y) => y.M * y.N * y.K - x.M * x.N * x.K);
  return best && { M: best.M, N: best.N, K: best.K, problem: undefined };
}

function adapterInfo(choice: AdapterChoice, gpu: GPUDevice): AdapterInfo {
  const { info } = choice.adapter;
  const { description } = choice;
  return {
    description,
    vendor: info.vendor,
    architecture: info.architecture,
    cpu: CPU_ADAPTERS.test(`${description} ${info.vendor} ${info.architecture} ${info.device}`),
    // Some browsers offer subgroups and call their size 0: then nothing is to rely on it.
    subgroupSize: gpu.features.has("subgroups")
      ? [Math.max(1, info.subgroupMinSize), Math.max(1, info.subgroupMaxSize)]
      : [1, 1],
    workgroupBytes: gpu.limits.maxComputeWorkgroupStorageSize,
    workgroupInvocations: gpu.limits.maxComputeInvocationsPerWorkgroup,
    subgroupMatrix: gpu.features.has(SUBGROUP_MATRIX) ? subgroupMatrixOf(info) : undefined,
    features: [...gpu.features].sort(),
    via: choice.via,
  };
}

/** A WebGPU device with what gpugrad keeps beside it: buffers, pipelines, the queue. */
export class Device {
  readonly gpu: GPUDevice;
  readonly adapter: AdapterInfo;
  readonly pool: Pool;
  readonly queue: Queue;
  readonly pipelines: Pipelines;
  /** Bytes that buffers may take: see {@link InitOptions}. */
  memoryLimit: number;
  /** Asked to give back what can be made again, before memory is refused. */
  readonly givers = new Set<() => void>();
  /** Which kernels were measured to be fastest, by what they compute: see {@link Tuning}. */
  tuning: ReadonlyMap<string, string> = new Map();
  #choice: AdapterChoice;
  #failure: Error | undefined;
  #destroyed = false;
  #staging: GPUBuffer[] = [];
  /** Those who wait for the device, to be told if it is lost. */
  readonly #waiting = new Set<() => void>();
  readonly #maxBytes: number;

  private constructor(
    choice: AdapterChoice,
    gpu: GPUDevice,
    memoryLimit: number,
    adapter: AdapterInfo = adapterInfo(choice, gpu),
  ) {
    this.#choice = choice;
    this.memoryLimit = memoryLimit;
    this.adapter = adapter;
    this.gpu = gpu;
    this.#maxBytes = gpu.limits.maxStorageBufferBindingSize; // asking the device each time takes a microsecond
    this.pool = new Pool(gpu);
    this.queue = new Queue(gpu, (error) => this.#refused(error));
    this.pipelines = new Pipelines(gpu, this.queue.params);
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // it becomes an exception: nothing goes only to stderr
      this.#refused(event.error);
    });
    void gpu.lost.then(({ reason, message }) => {
      if (this.#destroyed) return;
      this.#fail(
        new DeviceLostError(
          `the GPU device was lost (${reason}): ${message}. Call init() for a new one, and give tensors their values again with restore().`,
        ),
      );
      for (const tell of this.#waiting) tell();
    });
  }

  static async create(memoryLimit = Infinity): Promise<Device> {
    const choice = await requestAdapter();
    const wanted: GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query", SUBGROUP_MATRIX];
    const limits: Record<string, number> = {};
    for (const name of [
      "maxStorageBuffersPerShaderStage",
      "maxStorageBufferBindingSize",
      "maxBufferSize",
      "maxComputeWorkgroupStorageSize",
      "maxComputeInvocationsPerWorkgroup",
      "maxComputeWorkgroupSizeX",
      "maxComputeWorkgroupSizeY",
    ] as const) {
      limits[name] = choice.adapter.limits[name]; // the default device has small limits: ask for what is there
    }
    const gpu = await choice.adapter.requestDevice({
      requiredFeatures: wanted.filter((f) => choice.adapter.features.has(f)),
      requiredLimits: limits,
    });
    return new Device(choice, gpu, memoryLimit);
  }

  /** A device on which the same kernels would be chosen, and which computes nothing: for `dryRun`. */
  imitation(memoryLimit: number): Device {
    const choice = { ...this.#choice, release: () => undefined };
    return Object.assign(new Device(choice, nullGpu(this.gpu), memoryLimit, this.adapter), { tuning: this.tuning });
  }

  /** Takes a buffer for `bytes` bytes; more than a kernel can bind is refused, and more than there is room for. */
  allocate(bytes: number, what: string): PooledBuffer {
    this.#checkSize(bytes, what);
    return this.pool.takeFree(bytes) ?? this.#create(bytes, what);
  }

  /** A buffer that holds `bytes` from the start. */
  allocateWith(bytes: Uint8Array, what: string): PooledBuffer {
    this.queue.refuseInRecording("data is uploaded", INPUTS_BEFORE);
    this.#checkSize(bytes.byteLength, what);
    const large = bytes.byteLength >= 4 * 2 ** 20; // writeBuffer allocates staging memory for uploads this large
    const free = this.pool.takeFree(bytes.byteLength);
    if (free || !large) {
      const buffer = free ?? this.#create(bytes.byteLength, what);
      this.queue.upload(buffer, bytes);
      return buffer;
    }
    const buffer = this.#create(bytes.byteLength, what, { mapped: true });
    new Uint8Array(buffer.gpu.getMappedRange()).set(bytes);
    buffer.gpu.unmap();
    return buffer;
  }

  #checkSize(bytes: number, what: string): void {
    this.throwIfFailed();
    if (bytes > this.#maxBytes) {
      throw new OutOfMemoryError(
        `${what}: ${bytes} bytes are more than this adapter binds at once (maxStorageBufferBindingSize ${this.#maxBytes}). ` +
          `Split the tensor, for instance along its first dimension.`,
      );
    }
  }

  /** A fresh buffer, if the memory limit leaves room for it; unused ones are given back first. */
  #create(bytes: number, what: string, options?: { mapped: boolean }): PooledBuffer {
    const { pool, memoryLimit } = this;
    const size = pool.sizeFor(bytes);
    const fits = (): boolean => pool.allocatedBytes + size <= memoryLimit;
    if (!fits() && pool.freeBytes > pool.reservedBytes) this.trim();
    if (!fits() && this.givers.size > 0) {
      for (const give of this.givers) give();
      this.trim();
    }
    if (!fits()) {
      throw this.#outOfMemory(
        `${what} needs ${showBytes(size)}, and the memory limit is ${showBytes(memoryLimit)}`,
        memoryLimit,
      );
    }
    return pool.create(bytes, options);
  }

  /** Reads `bytes` bytes back, after all work recorded so far. Throws what went wrong on the device until then. */
  async read(buffer: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    this.throwIfFailed();
    this.queue.refuseInRecording("a tensor is read", "Give it back from the work, and read it outside.");
    const { suspects } = buffer;
    const size = Math.max(4, Math.ceil(bytes / 4) * 4);
    const at = this.#staging.findIndex((b) => b.size >= size && b.size <= 4 * size + 256);
    const staging =
      at >= 0
        ? this.#staging.splice(at, 1)[0]!
        : this.gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    this.queue.copy(buffer, staging, size);
    this.queue.flush();
    try {
      await this.#unlessLost(staging.mapAsync(GPUMapMode.READ, 0, size));
    } catch (error) {
      // Of a loss the read may hear before the device itself does.
      if (!this.#failure) await Promise.race([this.gpu.lost, new Promise((later) => setTimeout(later, 200))]);
      this.throwIfFailed();
      throw new DeviceError(`reading a tensor back failed: ${String(error)}`);
    }
    const copy = staging.getMappedRange(0, size).slice(0, bytes);
    staging.unmap();
    if (this.#staging.length < 8) this.#staging.push(staging);
    else staging.destroy();
    this.throwIfFailed();
    await refuseFailed(suspects);
    return copy;
  }

  /** Waits until everything recorded so far has run. @throws for a kernel that does not compile, unless it was thrown before */
  async finish(): Promise<void> {
    this.queue.flush();
    await this.#unlessLost(this.gpu.queue.onSubmittedWorkDone());
    this.throwIfFailed();
    await this.pipelines.settled();
  }

  /** What `work` comes to; or rejects as soon as the device is lost, whatever becomes of `work`. */
  #unlessLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const tell = (): void => reject(this.#failure!);
      this.#waiting.add(tell);
      work.then(resolve, reject).finally(() => this.#waiting.delete(tell));
    });
  }

  /** Gives unused buffers back to the driver. */
  trim(): void {
    this.queue.flush();
    this.pipelines.dropBindGroups();
    this.pool.trim();
  }

  /** Whether what lived on it is gone: it was lost, or destroyed. */
  get gone(): boolean {
    return this.#destroyed || this.#failure instanceof DeviceLostError;
  }

  /** Whether something went wrong that it can't go on from. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  throwIfFailed(): void {
    if (this.#failure) throw this.#failure;
    check(!this.#destroyed, "the device was destroyed. Call init() for a new one.");
  }

  /** Waits for the work under way, then gives everything back; the process can end after it. */
  async destroy(): Promise<void> {
    if (this.#destroyed) return;
    this.queue.flush();
    if (!this.failed) await this.#unlessLost(this.gpu.queue.onSubmittedWorkDone()).catch(() => undefined);
    this.#destroyed = true;
    this.gpu.destroy();
    this.#choice.release();
  }

  /** The error that no more memory can be had, with what it is taken by. */
  #outOfMemory(what: string, available: number): OutOfMemoryError {
    return new OutOfMemoryError(
      `out of memory: ${what}. Taken are ${showBytes(this.pool.allocatedBytes)}:${told.memory(this)}\n` +
        "Smaller batches, shorter texts or gradient checkpointing need less.",
      { available },
    );
  }

  /** The device refused a call that was taken for valid, or a buffer. */
  #refused(error: GPUError): void {
    const { message } = error;
    this.#fail(
      error instanceof GPUOutOfMemoryError
        ? this.#outOfMemory(`the device refused a buffer (${message.trim()})`, this.pool.allocatedBytes)
        : new DeviceError(
            `the device refused a call: ${message.trim()}\nCall init() for a new device, and give tensors their values again with restore().`,
          ),
    );
  }

  /** The first failure is the cause, and later ones follow from it. */
  #fail(error: Error): void {
    this.#failure ??= error;
  }
}

let current: Device | undefined;
let starting: Promise<Device> | undefined;
/** The memory limit of a device that was lost, until another takes its place. */
let keptLimit: number | undefined;

/** Says what the memory of a device is taken by: `storage.ts` knows, which stands on this file. */
export const told = { memory: (_: Device): string => "" };

/** What {@link init} takes. */
export interface InitOptions {
  /**
   * Bytes that tensors may take on the device: what needs more throws an {@link OutOfMemoryError}, and the device can be used on. To
   * leave room for other programs, or to try what a smaller GPU would do. Also the variable `GPUGRAD_MEMORY_LIMIT`. Default: no
   * limit but the device's own, which is known only when it refuses; the device is then to be replaced by another `init()`.
   */
  memoryLimit?: number;
  /**
   * What `pnpm tune` measured; one of another adapter or version is ignored. In Node the file in the cache folder, unless said
   * otherwise here or by the variable `GPUGRAD_TUNING=off`. `false`: kernels are chosen by the built-in rules alone.
   */
  tuning?: Tuning | false;
}

/**
 * Makes the device that all tensors live on. Call it once, before the first tensor; later calls give the same device,
 * with the limit or the tuning that they name.
 * @throws when no adapter is found: the message lists what was tried.
 */
export async function init(options: InitOptions = {}): Promise<Device> {
  checkOptions("init", options, { memoryLimit: "number?", tuning: "any" });
  const { memoryLimit, tuning } = options;
  check(
    memoryLimit === undefined || memoryLimit > 0,
    () => `init: memoryLimit is ${memoryLimit}, not a number of bytes above 0.`,
  );
  if (current?.failed) {
    // A lost device is replaced by one with its limit; of its tensors those live on that are restored.
    const limit = current.memoryLimit;
    const ended = destroy();
    keptLimit = limit;
    starting = ended.then(() => start(options));
  }
  starting ??= start(options);
  const mine = starting;
  try {
    const device = await mine;
    if (starting === mine) current = device;
    // It may be another call's that started with other options, or long before.
    if (memoryLimit !== undefined) device.memoryLimit = memoryLimit;
    if (tuning !== undefined) device.tuning = choicesFor(device.adapter, tuning);
    return device;
  } catch (error) {
    if (starting === mine) starting = undefined; // the next call tries again
    throw error;
  }
}

/** Tries for what can't be relied on everywhere: each throws if it computes wrongly. The ops that use it say how to try it. */
export const trials: { subgroupMatrix?: () => Promise<void> } = {};

/** A device, and what came of the trials on it. */
async function start({ tuning, memoryLimit = keptLimit ?? limitFromEnvironment() }: InitOptions): Promise<Device> {
  const device = await Device.create(memoryLimit);
  keptLimit = undefined;
  device.tuning = choicesFor(device.adapter, tuning ?? (await readTuning(adapterKey(device.adapter))));
  const { subgroupMatrix, cpu } = device.adapter;
  if (subgroupMatrix && !cpu && trials.subgroupMatrix)
    subgroupMatrix.problem = await problemWith(trials.subgroupMatrix);
  return device;
}

function limitFromEnvironment(): number {
  const given = environment("GPUGRAD_MEMORY_LIMIT");
  const limit = given ? Number(given) : Infinity;
  check(limit > 0, `GPUGRAD_MEMORY_LIMIT: ${given} is not a number of bytes such as ${2 ** 30}.`);
  return limit;
}

/** Runs a trial on a device of its own, so that what breaks there breaks nothing else. Returns what went wrong, if anything did. */
export async function problemWith(trial: () => Promise<void>): Promise<string | undefined> {
  const outer = current;
  const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  try {
    current = await Device.create();
    const problem = await trial().then(() => undefined, messageOf);
    await current.finish(); // throws where a kernel that does not compile is behind it
    return problem;
  } catch (error) {
    return messageOf(error);
  } finally {
    if (current !== outer) await current?.destroy();
    current = outer;
  }
}

/** The device made by {@link init}. */
export function device(): Device {
  if (!current) throw new GpugradError("there is no device yet: `await init()` before the first tensor.");
  return current;
}

/** Does `work` with another device in the place of the present one. */
export function withDevice<T>(other: Device, work: () => T): T {
  const before = current;
  current = other;
  try {
    return work();
  } finally {
    current = before;
  }
}

/** Finishes the work under way and gives the device back, so that the process can end. `init()` makes a new one. */
export async function destroy(): Promise<void> {
  const old = current;
  current = undefined;
  starting = undefined;
  keptLimit = undefined;
  await old?.destroy();
}
