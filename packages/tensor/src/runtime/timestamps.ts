import type { Params } from "./kernel.ts";
import type { Bound } from "./pool.ts";

/** What one kernel took on the device, over all its dispatches. */
export interface KernelTime {
  /** Its file. */
  kernel: string;
  dispatches: number;
  /** Milliseconds on the device, by timestamp queries. */
  ms: number;
}

/** One dispatch on the device. */
export interface DispatchTime {
  /** The kernel's file. */
  kernel: string;
  /**
   * Milliseconds on the scale of `performance.now()`, by timestamp queries. Host and device have clocks of their own: they are set equal
   * where the first dispatch begins, which is taken to be when it was submitted.
   */
  begin: number;
  end: number;
  /** Of all buffers that it was given: its memory traffic, if it touches everything once. Buffers are up to 25 % larger than tensors. */
  bytes: number;
  /** 2·M·N·K·batches of a product, with K as the kernel takes it: those that pack their operands make it a multiple of four. Undefined for other kernels. */
  flops: number | undefined;
}

/** What a dispatch does. */
export type DispatchWork = Pick<DispatchTime, "kernel" | "bytes" | "flops">;

export const workOf = (
  kernel: string,
  buffers: readonly Bound[],
  params: Params,
  [, , depth]: readonly [number, number, number],
): DispatchWork => ({ kernel, bytes: buffers.reduce((sum, b) => sum + b.bytes, 0), flops: flopsOf(params, depth) });

/** Timestamps of the dispatches of one batch: a beginning and an end each. */
export class Timestamps {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #dispatches: DispatchTime[] = [];
  #reading: Promise<void> = Promise.resolve();
  #batch: DispatchWork[] = [];
  /** Host time minus device time, in milliseconds. */
  #offset: number | undefined;

  constructor(device: GPUDevice, dispatchesPerBatch: number) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * dispatchesPerBatch });
    this.#resolved = device.createBuffer({
      size: 16 * dispatchesPerBatch,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
  }

  /** For the pass of the next dispatch, which is to hold no other. */
  next(
    kernel: string,
    buffers: readonly Bound[],
    params: Params,
    workgroups: readonly [number, number, number],
  ): GPUComputePassTimestampWrites {
    const index = 2 * this.#batch.length;
    this.#batch.push(workOf(kernel, buffers, params, workgroups));
    return { querySet: this.#queries, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  /** Ends a batch; the function it gives reads the times, and is to be called once the batch is submitted. */
  resolve(encoder: GPUCommandEncoder): () => void {
    const batch = this.#batch;
    this.#batch = [];
    if (batch.length === 0) return () => undefined;
    const staging = this.#device.createBuffer({
      size: 16 * batch.length,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.resolveQuerySet(this.#queries, 0, 2 * batch.length, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, staging.size);
    return () => {
      const submitted = performance.now();
      const mapped = staging.mapAsync(GPUMapMode.READ);
      this.#reading = this.#reading.then(() => mapped).then(() => this.#read(staging, batch, submitted));
    };
  }

  #read(staging: GPUBuffer, batch: readonly DispatchWork[], submitted: number): void {
    const nanoseconds = new BigUint64Array(staging.getMappedRange());
    const times = Array.from(nanoseconds, (t) => Number(t) / 1e6);
    const offset = (this.#offset ??= submitted - times[0]!);
    for (const [i, work] of batch.entries()) {
      this.#dispatches.push({ ...work, begin: offset + times[2 * i]!, end: offset + times[2 * i + 1]! });
    }
    staging.destroy();
  }

  /** Gives the dispatches of all batches so far, in their order; nothing can be timed after it. */
  async finish(): Promise<DispatchTime[]> {
    await this.#reading;
    this.#queries.destroy();
    this.#resolved.destroy();
    return this.#dispatches;
  }
}

/**
 * Kernels of products say their sizes by these names. Those with a workgroup for each tile don't say the number of `batches`: they have
 * one layer of workgroups for each of the `splits` of each.
 */
function flopsOf({ M, N, K, splits = 1, batches }: Params, depth: number): number | undefined {
  const sizes = [M, N, K, batches ?? depth / Number(splits)].filter((size) => typeof size === "number");
  return sizes.length === 4 ? sizes.reduce((product, size) => product * size, 2) : undefined;
}

/** Times by kernel, longest first. */
export function totalsOf(dispatches: readonly DispatchTime[]): KernelTime[] {
  const totals = new Map<string, KernelTime>();
  for (const { kernel, begin, end } of dispatches) {
    const total = totals.get(kernel) ?? { kernel, dispatches: 0, ms: 0 };
    totals.set(kernel, total);
    total.dispatches++;
    total.ms += end - begin;
  }
  return [...totals.values()].sort((a, b) => b.ms - a.ms);
}
