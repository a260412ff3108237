import { checked } from "../arguments.ts";
import { check } from "../errors.ts";
import { device } from "./init.ts";
import type { CommandRecorder } from "./queue.ts";
import { setScalar, type Field, type Kernel, type Params } from "./kernel.ts";

const refreshers = new WeakMap<readonly number[], () => readonly number[]>();

/**
 * A value for `struct Params` that is another one at every replay of a {@link Recording}: what `refresh` gives now, and later what
 * it gives then. Outside of recordings it is called once, like any expression.
 */
export function live<T extends readonly number[]>(refresh: () => T): T {
  const value = refresh();
  refreshers.set(value, refresh);
  return value;
}

/**
 * Does the bookkeeping of recorded work: now, and before each replay, in its place among the live values that the work asks for.
 * Outside of recordings it is just done.
 */
export function atEachReplay(work: () => void): void {
  work();
  device().queue.addHostWork(work);
}

/**
 * Does work at this point of recorded work: not now, but in each replay, when what comes before is encoded and what comes after isn't. It may
 * read tensors: they have the values of this point. Outside of recordings it is just done.
 */
export const atThisPoint = checked("atThisPoint", { work: "function" }, (work: () => void): void => {
  if (!device().queue.addPoint(work)) work();
});

/** Where a live value lies among the parameters of a recording. */
interface Place {
  batch: number;
  offset: number;
  scalar: Field["scalar"];
}

/** What goes into one submit. */
interface Batch {
  commands: (() => void)[];
  /** The parameters of its dispatches, slot by slot. */
  params: Uint8Array;
  /** What a replay does after it. */
  then: (() => void)[];
}

/**
 * The commands of some work, to be sent again without the JavaScript that led to them: about 3 µs a dispatch instead of 10. What
 * was created inside lives in buffers of its own, which a replay fills again; tensors from outside have to stay alive.
 */
export class Recording implements CommandRecorder {
  readonly #device = device();
  readonly #batches: Batch[] = [];
  readonly #live = new Map<readonly number[], Place[]>();
  /** What a replay does on the host, in the order of the work: bookkeeping, and asking for live values. */
  readonly #hostWork: (() => void)[] = [];
  #commands: (() => void)[] = [];

  /** Does it all again, with live values as they are now. Results are in the tensors that the work gave back. */
  replay(): void {
    for (const work of this.#hostWork) work();
    for (const { commands, params, then } of this.#batches) {
      this.#device.queue.replay(commands, params);
      for (const work of then) work();
    }
  }

  /** Gives its buffers back to other work. The results can't be used afterwards. */
  dispose(): void {
    this.#device.pool.endReservation();
  }

  add(command: () => void): void {
    this.#commands.push(command);
  }

  addHostWork(work: () => void): void {
    this.#hostWork.push(work);
  }

  addLive(kernel: Kernel, params: Params, base: number): void {
    for (const { name, offset, scalar } of kernel.params) {
      const value = params[name];
      if (typeof value !== "object" || !refreshers.has(value)) continue;
      let places = this.#live.get(value);
      if (!places) {
        this.#live.set(value, (places = []));
        this.#hostWork.push(() => this.#refresh(value));
      }
      places.push({ batch: this.#batches.length, offset: base + offset, scalar });
    }
  }

  #refresh(value: readonly number[]): void {
    const now = refreshers.get(value)!();
    for (const { batch, offset, scalar } of this.#live.get(value)!) {
      const { buffer, byteOffset } = this.#batches[batch]!.params;
      const view = new DataView(buffer, byteOffset);
      now.forEach((number, i) => setScalar(view, scalar, offset + 4 * i, number));
    }
  }

  addPoint(work: () => void): void {
    if (this.#batches.length === 0) this.endBatch(new Uint8Array());
    this.#batches.at(-1)!.then.push(work);
  }

  endBatch(params: Uint8Array): void {
    this.#batches.push({ commands: this.#commands, params, then: [] });
    this.#commands = [];
  }
}

/**
 * Does `work`, and records its commands: `replay()` does the same again, to the same tensors. For work whose shapes stay the same,
 * like a training step. Inputs are tensors made before, and written with `writeBytes()` before each replay; random numbers continue
 * as if the work had been called again. What the work's JavaScript decides, it decides only now.
 * @throws when the work is asynchronous, uploads data or reads a tensor: a replay could not
 */
export const record = checked(
  "record",
  { work: "function" },
  <T>(work: () => T): { result: T; recording: Recording } => {
    const { queue, pool } = device();
    queue.refuseInRecording("other work is recorded", "Record the two one after the other.");
    const recording = new Recording();
    pool.reserve();
    queue.beginRecording(recording);
    try {
      const result = work();
      check(!(result instanceof Promise), "record: the work is asynchronous. Record only what runs at once.");
      return { result, recording };
    } catch (error) {
      pool.stopReserving();
      pool.endReservation();
      throw error;
    } finally {
      queue.endRecording();
      pool.stopReserving();
    }
  },
);
