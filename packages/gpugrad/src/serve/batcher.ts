import { GpugradError } from "@gpugrad/tensor";

/** What was computed together. */
export interface BatchEvent {
  /** Items of the batch. */
  size: number;
  /** Lengths of its items, and what padding makes of them. */
  tokens: number;
  paddedTokens: number;
  seconds: number;
  /** How long each item was in the queue before. */
  waited: number[];
}

export interface BatcherOptions<T, R> {
  /** Results of some items, in their order. */
  compute: (items: T[]) => Promise<R[]>;
  lengthOf: (item: T) => number;
  /** Only items of one kind are computed together. Default: all are of one. */
  kindOf?: (item: T) => string;
  /** Items computed together at most. */
  maxBatchSize: number;
  /** Milliseconds that an item waits for others while nothing is computed. */
  maxWait: number;
  /** Items that wait at most; more are refused. */
  maxQueueSize: number;
  onBatch?: (event: BatchEvent) => void;
}

/** The queue has no room: `retryAfter` seconds from now it should. */
export class QueueFullError extends GpugradError {
  override name = "QueueFullError";
  readonly retryAfter: number;

  constructor(message: string, retryAfter: number) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

interface Job<T, R> {
  item: T;
  /** Items of one class are of one kind, and of one length up to a factor of two: this bounds the padding of a batch. */
  class: string;
  queuedAt: number;
  resolve: (result: R) => void;
  reject: (error: unknown) => void;
}

/** Shorter items are all alike: a batch of its own would cost more than their padding. */
const SHORTEST_CLASS = 16;

/**
 * Dynamic batching: items that come one by one are computed together. One batch runs at a time; what comes meanwhile waits and
 * makes up the next one. The oldest item goes first, and takes along what is of its length.
 */
export class Batcher<T, R> {
  readonly #options: BatcherOptions<T, R>;
  #queue: Job<T, R>[] = [];
  /** Places in the queue of items that are still being made. */
  #held = 0;
  #onRelease: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosing = false;
  /** A moving average, to estimate how long a full queue takes. */
  #secondsPerItem = 0;

  constructor(options: BatcherOptions<T, R>) {
    this.#options = options;
  }

  /** Items that wait. */
  get queued(): number {
    return this.#queue.length + this.#held;
  }

  /**
   * Holds places in the queue for items that are still to be made, until the returned function is called.
   *
   * @throws {@link QueueFullError} when there is no room for that many more items
   */
  hold(count: number): () => void {
    this.#checkRoom(count);
    this.#held += count;
    return () => {
      this.#held -= count;
      if (this.#held === 0) this.#onRelease?.();
    };
  }

  #checkRoom(count: number): void {
    const { maxQueueSize } = this.#options;
    if (this.queued + count <= maxQueueSize) return;
    const retryAfter = Math.max(Math.ceil(this.queued * this.#secondsPerItem), 1);
    throw new QueueFullError(
      `the queue is full: ${this.queued} of ${maxQueueSize} texts wait, and here are ${count} more. Try again in ${retryAfter} s.`,
      retryAfter,
    );
  }

  /**
   * Results of these items, in their order; the items may be in different batches. `signal` takes out those that still wait.
   *
   * @throws {@link QueueFullError} when there is no room for all of them
   */
  async submit(items: readonly T[], signal?: AbortSignal): Promise<R[]> {
    this.#checkRoom(items.length);
    signal?.throwIfAborted();
    const queuedAt = performance.now();
    const jobs: Job<T, R>[] = [];
    const results = items.map(
      (item) =>
        new Promise<R>((resolve, reject) => {
          jobs.push({ item, class: this.#classOf(item), queuedAt, resolve, reject });
        }),
    );
    const leave = (): void => {
      this.#queue = this.#queue.filter((job) => !jobs.includes(job));
      for (const job of jobs) job.reject(signal!.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    this.#queue.push(...jobs);
    this.#next();
    try {
      return await Promise.all(results);
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  #classOf(item: T): string {
    const length = Math.max(this.#options.lengthOf(item), SHORTEST_CLASS);
    return `${this.#options.kindOf?.(item) ?? ""} ${Math.ceil(Math.log2(length))}`;
  }

  /** Computes what was accepted, without waiting for more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#held > 0) await new Promise<void>((resolve) => (this.#onRelease = resolve));
    this.#next();
    while (this.#running) await this.#running;
  }

  /** Begins the next batch: that of the oldest item once it has waited long enough, before that any full one. */
  #next(): void {
    clearTimeout(this.#timer);
    const [oldest] = this.#queue;
    if (this.#running || !oldest) return;
    const { maxBatchSize, maxWait } = this.#options;
    const left = oldest.queuedAt + maxWait - performance.now();
    const next = left <= 0 || this.#isClosing ? oldest.class : this.#fullClass();
    if (next === undefined) {
      this.#timer = setTimeout(() => this.#next(), left);
      return;
    }
    const batch = this.#queue.filter((job) => job.class === next).slice(0, maxBatchSize);
    const members = new Set(batch);
    this.#queue = this.#queue.filter((job) => !members.has(job));
    this.#running = this.#run(batch).finally(() => {
      this.#running = undefined;
      this.#next();
    });
  }

  /** The class that has enough items for a full batch, if there is one. */
  #fullClass(): string | undefined {
    const counts = new Map<string, number>();
    for (const { class: own } of this.#queue) {
      const count = (counts.get(own) ?? 0) + 1;
      if (count === this.#options.maxBatchSize) return own;
      counts.set(own, count);
    }
    return undefined;
  }

  async #run(batch: readonly Job<T, R>[]): Promise<void> {
    const { compute, lengthOf, onBatch } = this.#options;
    const start = performance.now();
    try {
      const results = await compute(batch.map(({ item }) => item));
      const seconds = (performance.now() - start) / 1000;
      this.#secondsPerItem += (seconds / batch.length - this.#secondsPerItem) / 8;
      const lengths = batch.map(({ item }) => lengthOf(item));
      onBatch?.({
        size: batch.length,
        tokens: lengths.reduce((sum, length) => sum + length, 0),
        paddedTokens: batch.length * Math.max(...lengths),
        seconds,
        waited: batch.map(({ queuedAt }) => (start - queuedAt) / 1000),
      });
      for (const [i, job] of batch.entries()) job.resolve(results[i]!);
    } catch (error) {
      for (const job of batch) job.reject(error);
    }
  }
}
