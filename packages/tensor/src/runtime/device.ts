import { hasten, requestAdapter } from "#platform";
import { check, DeviceError, DeviceLostError, OutOfMemoryError } from "../errors.ts";
import { adapterInfo, SUBGROUP_MATRIX, type AdapterInfo } from "./adapter.ts";
import { refuseFailed } from "./compilation.ts";
import { Pipelines } from "./pipelines.ts";
import type { AdapterChoice } from "./platform.ts";
import { Pool, type PooledBuffer } from "./pool.ts";
import { INPUTS_BEFORE, Queue } from "./queue.ts";
import { showBytes } from "./show-bytes.ts";

/** A WebGPU device with what gpugrad keeps beside it: buffers, pipelines, the queue. */
export class Device {
  readonly gpu: GPUDevice;
  readonly adapter: AdapterInfo;
  readonly pool: Pool;
  readonly queue: Queue;
  readonly pipelines: Pipelines;
  /** Bytes that buffers may take: see {@link InitOptions}. */
  memoryLimit: number;
  /** Called to give back what can be made again, before memory is refused. */
  readonly reclaimers = new Set<() => void>();
  /** Which kernels were measured to be fastest, by what they compute: see {@link Tuning}. */
  tuning: ReadonlyMap<string, string> = new Map();
  #choice: AdapterChoice;
  #failure: Error | undefined;
  #destroyed = false;
  #staging: GPUBuffer[] = [];
  /** What rejects the waits under way, if the device is lost. */
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
      for (const reject of this.#waiting) reject();
    });
  }

  static async create(memoryLimit = Infinity): Promise<Device> {
    const choice = await requestAdapter();
    const wanted = ["subgroups", "shader-f16", "timestamp-query", SUBGROUP_MATRIX] as GPUFeatureName[];
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

  /** A device on which the same kernels would be chosen, over a `gpu` that computes nothing: for `dryRun`. */
  imitation(gpu: GPUDevice, memoryLimit: number, adapter?: Partial<AdapterInfo>): Device {
    const choice = { ...this.#choice, release: () => undefined };
    return Object.assign(
      new Device(choice, gpu, memoryLimit, adapter ? { ...this.adapter, ...adapter } : this.adapter),
      { tuning: this.tuning },
    );
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

  #create(bytes: number, what: string, options?: { mapped: boolean }): PooledBuffer {
    this.makeRoom(this.pool.sizeFor(bytes), what);
    return this.pool.create(bytes, options);
  }

  /** Sees to it that the memory limit leaves room for `size` bytes: what is unused is given back. @throws OutOfMemoryError where that isn't enough */
  makeRoom(size: number, what: string): void {
    const { pool, memoryLimit } = this;
    const fits = (): boolean => pool.allocatedBytes + size <= memoryLimit;
    if (!fits() && pool.freeBytes + pool.imageBytes > pool.reservedBytes) this.trim();
    if (!fits() && this.reclaimers.size > 0) {
      for (const reclaim of this.reclaimers) reclaim();
      this.trim();
    }
    if (!fits()) {
      throw this.#outOfMemory(
        `${what} needs ${showBytes(size)}, and the memory limit is ${showBytes(memoryLimit)}`,
        memoryLimit,
      );
    }
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
      // The read may fail before the device reports that it is lost: in a browser by as long as its GPU process is busy.
      if (!this.#failure) await Promise.race([this.gpu.lost, new Promise((later) => setTimeout(later, 5000))]);
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
      const rejectWait = (): void => reject(this.#failure!);
      this.#waiting.add(rejectWait);
      const stop = hasten(this.gpu);
      work.then(resolve, reject).finally(() => {
        stop();
        this.#waiting.delete(rejectWait);
      });
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

  /** Whether it failed in a way that it can't recover from. */
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
      `out of memory: ${what}. In use: ${showBytes(this.pool.allocatedBytes)}:${describers.memory(this)}\n` +
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

/** Describes what a device's memory is used for: filled in by `storage.ts`, which imports this file. */
export const describers = { memory: (_: Device): string => "" };
