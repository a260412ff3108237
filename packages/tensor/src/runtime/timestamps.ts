/** What one kernel took on the device, over all its dispatches. */
export interface KernelTime {
  /** Its file. */
  kernel: string;
  dispatches: number;
  /** Milliseconds on the device, by timestamp queries. */
  ms: number;
}

/** Timestamps of the dispatches of one batch: a beginning and an end each. */
export class Timestamps {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #totals = new Map<string, KernelTime>();
  readonly #reads: Promise<void>[] = [];
  #kernels: string[] = [];

  constructor(device: GPUDevice, dispatchesPerBatch: number) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * dispatchesPerBatch });
    this.#resolved = device.createBuffer({
      size: 16 * dispatchesPerBatch,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
  }

  /** For the pass of the next dispatch, which is to hold no other. */
  next(kernel: string): GPUComputePassTimestampWrites {
    const index = 2 * this.#kernels.length;
    this.#kernels.push(kernel);
    return { querySet: this.#queries, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  /** Ends a batch; the function it gives reads the times, and is to be called once the batch is submitted. */
  resolve(encoder: GPUCommandEncoder): () => void {
    const kernels = this.#kernels;
    this.#kernels = [];
    if (kernels.length === 0) return () => undefined;
    const staging = this.#device.createBuffer({
      size: 16 * kernels.length,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.resolveQuerySet(this.#queries, 0, 2 * kernels.length, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, staging.size);
    return () => this.#reads.push(this.#read(staging, kernels));
  }

  async #read(staging: GPUBuffer, kernels: readonly string[]): Promise<void> {
    await staging.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(staging.getMappedRange());
    for (const [i, kernel] of kernels.entries()) {
      const total = this.#totals.get(kernel) ?? { kernel, dispatches: 0, ms: 0 };
      this.#totals.set(kernel, total);
      total.dispatches++;
      total.ms += Number(times[2 * i + 1]! - times[2 * i]!) / 1e6;
    }
    staging.destroy();
  }

  /** Times of all batches so far, longest first. */
  async totals(): Promise<KernelTime[]> {
    await Promise.all(this.#reads);
    return [...this.#totals.values()].sort((a, b) => b.ms - a.ms);
  }
}
