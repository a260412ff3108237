import type { Suspects } from "./compilation.ts";

/** What a kernel can be given. */
export interface Bound {
  /** What was asked for, rounded up to a size that others ask for too. */
  readonly bytes: number;
  /** Identifies it, among others of its kind, in the keys of cached bind groups. */
  readonly id: number;
  /** The last batch of recorded commands that uses it: see `Queue.upload`. */
  batch: number;
  /** What its contents depend on and may not compile. */
  suspects: Suspects | undefined;
}

/**
 * Elements of a tensor in a texture, four to a texel, row after row. Drivers that compute on the CPU load from a texture what eight lanes ask for at once,
 * where they load from a buffer lane by lane and number by number: a sixth of the instructions.
 */
export interface Image extends Bound {
  readonly gpu: GPUTexture;
  readonly view: GPUTextureView;
}

/** A GPU buffer that goes round: taken for a tensor, given back when the tensor is disposed, taken again. */
export interface PooledBuffer extends Bound {
  readonly gpu: GPUBuffer;
  /** Whether only recorded work may take it, and what it is lent to: replays write to it. */
  reserved: boolean;
}

const USAGE = 0x80 | 0x4 | 0x8; // STORAGE | COPY_SRC | COPY_DST; GPUBufferUsage is not there before an adapter is

/**
 * Sizes are rounded to four steps per power of two (at most 25 % waste), so that the tensors of one training step find the
 * buffers of the step before. Reuse needs no waiting: commands run in the order in which they are recorded.
 */
function bucketOf(bytes: number, limit: number): number {
  const power = 2 ** Math.floor(Math.log2(Math.max(bytes, 256)));
  const step = power / 4;
  return Math.max(bytes, Math.min(Math.ceil(Math.max(bytes, 256) / step) * step, limit));
}

/**
 * How much larger a buffer may be than what it is taken for, where none of that size is free. Batches of many lengths share their
 * buffers so: BERT-base with 64 to 256 tokens takes 5.1 GiB instead of 8.3. Below 4, or activations would take those of the feed-forward layer.
 */
const LARGER = 3;
/** What is smaller doesn't matter, and gets its own size. */
const SHARES_FROM = 2 ** 20;

/** The sizes of buffers that fit, from the smallest on. */
function* bucketsFrom(smallest: number): Generator<number> {
  const largest = smallest < SHARES_FROM ? smallest : LARGER * smallest;
  for (let size = smallest; size <= largest; size += 2 ** Math.floor(Math.log2(size)) / 4) yield size;
}

type FreeLists = Map<number, PooledBuffer[]>;

/** Free buffers by size. */
export class Pool {
  #device: GPUDevice;
  #limit: number;
  #free: FreeLists = new Map();
  /** Those of recordings. All share them: they are replayed one after the other. */
  #reserved: FreeLists = new Map();
  #reserving = false;
  #lending = false;
  /** Those of recordings that other work has at the moment. */
  #lent = new Set<PooledBuffer>();
  /** Buffers of the recording under way. */
  #recorded = new Set<PooledBuffer>();
  #reservations = 0;
  #nextId = 1;
  /** Bytes allocated on the device: in use and waiting for reuse. */
  allocatedBytes = 0;
  /** The most that it was so far. */
  peakBytes = 0;
  /** By name: see `imageOf`. */
  readonly images = new Map<string, Image>();
  /** Bytes waiting for reuse. */
  freeBytes = 0;
  /** Those of them that only recordings may use. */
  reservedBytes = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#limit = device.limits.maxStorageBufferBindingSize;
  }

  /** Bytes of the buffer that `bytes` would get. */
  sizeFor(bytes: number): number {
    return bucketOf(bytes, this.#limit);
  }

  /** A buffer that waits for reuse, if one fits. For a recording, and for work that is lent to, one of recordings, or else any. */
  takeFree(bytes: number): PooledBuffer | undefined {
    const mayReserved = this.#reserving || this.#lending;
    for (const size of bucketsFrom(bucketOf(bytes, this.#limit))) {
      const found = (mayReserved && this.#reserved.get(size)?.pop()) || this.#free.get(size)?.pop();
      if (!found) continue;
      this.#count(found, -1);
      return this.#taken(found);
    }
    return undefined;
  }

  #taken(buffer: PooledBuffer): PooledBuffer {
    if (this.#reserving) {
      buffer.reserved = true;
      this.#recorded.add(buffer);
    } else if (buffer.reserved) this.#lent.add(buffer);
    return buffer;
  }

  /** The image of that name from now on. A smaller one isn't destroyed: a recording may hold it. */
  setImage(name: string, image: Image): void {
    this.#allocated(image.bytes - (this.images.get(name)?.bytes ?? 0));
    this.images.set(name, image);
  }

  /** Bytes of all images. */
  get imageBytes(): number {
    let bytes = 0;
    for (const image of this.images.values()) bytes += image.bytes;
    return bytes;
  }

  #allocated(bytes: number): void {
    this.allocatedBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.allocatedBytes);
  }

  /** A fresh buffer. A mapped one is to be written and unmapped before use: cheaper than an upload for anything large. */
  create(bytes: number, { mapped = false } = {}): PooledBuffer {
    const size = this.sizeFor(bytes);
    const gpu = this.#device.createBuffer({ size, usage: USAGE, mappedAtCreation: mapped });
    this.#allocated(size);
    return this.#taken({ gpu, bytes: size, id: this.#nextId++, batch: -1, suspects: undefined, reserved: false });
  }

  /**
   * Puts a buffer back, in the order of ids: the oldest is taken first. So a step that asks for the same sizes as the one before
   * gets the same buffers in the same places, and finds its bind groups made.
   */
  give(buffer: PooledBuffer): void {
    this.#lent.delete(buffer);
    buffer.suspects = undefined;
    buffer.reserved &&= this.#reservations > 0;
    const lists = buffer.reserved ? this.#reserved : this.#free;
    let list = lists.get(buffer.bytes);
    if (!list) lists.set(buffer.bytes, (list = []));
    let at = list.length; // descending, so that pop() takes the oldest
    while (at > 0 && list[at - 1]!.id < buffer.id) at--;
    list.splice(at, 0, buffer);
    this.#count(buffer, 1);
  }

  #count({ bytes, reserved }: PooledBuffer, sign: 1 | -1): void {
    this.freeBytes += sign * bytes;
    if (reserved) this.reservedBytes += sign * bytes;
  }

  /** From now on buffers are taken for a recording. */
  reserve(): void {
    this.#reservations++;
    this.#reserving = true;
  }

  stopReserving(): void {
    this.#reserving = false;
    this.#recorded.clear();
  }

  /**
   * Does work that may take the buffers of recordings: none of them is replayed meanwhile. Where there are more recordings than the
   * caller's, nothing is lent: those would be replayed over what the work keeps.
   * @param own number of the caller's recordings
   * @param kept is called when the work has not given all buffers back: the caller has to dispose its recordings
   */
  lend<T>(work: () => T, own: number, kept: () => void): T {
    this.#lending = this.#reservations === own;
    try {
      return work();
    } finally {
      this.#lending = false;
      if (this.#lent.size > 0) kept();
      this.#lent.clear();
    }
  }

  /** Ends a recording. With the last one its buffers are free for all. */
  endReservation(): void {
    if (--this.#reservations === 0) this.#release(() => true);
    // Only the recording under way is left: others' buffers are needed no more.
    else if (this.#reservations === 1 && this.#reserving) this.#release((buffer) => !this.#recorded.has(buffer));
  }

  /** Makes reserved buffers free for all. */
  #release(which: (buffer: PooledBuffer) => boolean): void {
    const buffers = [...this.#reserved.values()].flat();
    this.#reserved.clear();
    for (const buffer of buffers) {
      this.#count(buffer, -1);
      buffer.reserved = !which(buffer);
      this.give(buffer);
    }
  }

  /** Gives all free buffers, and images, back to the driver. Cached bind groups must be dropped first. */
  trim(): void {
    this.allocatedBytes -= this.imageBytes;
    this.images.clear();
    for (const { gpu, bytes } of [...this.#free.values()].flat()) {
      gpu.destroy();
      this.allocatedBytes -= bytes;
      this.freeBytes -= bytes;
    }
    this.#free.clear();
  }
}
