import { GpugradError } from "@gpugrad/tensor";
import type { Communicator } from "./communicator.ts";

/** What went wrong on rank 0, which says it, or what all ranks have found at once. */
export class SharedError extends GpugradError {
  override name = "SharedError";
}

/** A rank that waits for others longer than it should. */
export class RankTimeoutError extends GpugradError {
  override name = "RankTimeoutError";
}

/** How the outcome of rank 0's work goes to the others. */
type Outcome<T> = { value: T } | { problem: string };

/** The ranks of a run, of which a run alone is the only one: then nothing is waited for, and nothing sent. */
export class Ranks {
  readonly rank: number;
  readonly size: number;
  readonly #communicator: Communicator | undefined;
  readonly #timeout: number;

  /** @param timeout seconds to wait for other ranks at most */
  constructor(communicator: Communicator | undefined, timeout: number) {
    this.#communicator = communicator && communicator.size > 1 ? communicator : undefined;
    this.#timeout = timeout;
    this.rank = this.#communicator?.rank ?? 0;
    this.size = this.#communicator?.size ?? 1;
  }

  /** Whether this rank writes, reports and uploads. */
  get isFirst(): boolean {
    return this.rank === 0;
  }

  /** Whether updates may be recorded. */
  get mayRecord(): boolean {
    return this.#communicator?.isOneProcess !== true;
  }

  /** A rank as errors have it. */
  name(rank = this.rank): string {
    return `rank ${rank} on ${this.#communicator?.hosts[rank] ?? "this machine"}`;
  }

  /** The values of all ranks, by rank. @param what is done, as a time-out says it */
  async allGather<T>(what: string, value: T): Promise<T[]> {
    return this.#communicator ? this.#within(what, this.#communicator.allGather(value)) : [value];
  }

  /** Sums elements over all ranks, in place and in the order of ranks. */
  async sum(what: string, values: Float32Array | Uint16Array): Promise<void> {
    if (this.#communicator) await this.#within(what, this.#communicator.allReduce(values));
  }

  /**
   * Work that only rank 0 does: all get what it gives.
   * @throws on rank 0 what the work throws, on the others a {@link SharedError} of it
   */
  async lead<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    if (!this.#communicator) return work();
    let [outcome, caught]: [Outcome<T> | undefined, unknown] = [undefined, undefined];
    if (this.isFirst) {
      try {
        outcome = { value: await work() };
      } catch (error) {
        caught = error;
        outcome = { problem: error instanceof Error ? error.message : String(error) };
      }
    }
    const known = (await this.#within(what, this.#communicator.broadcast(outcome)))!;
    if (caught !== undefined) throw caught as Error;
    if ("problem" in known) throw new SharedError(known.problem);
    return known.value;
  }

  /**
   * Sees to it that all ranks have the same.
   * @throws on all of them, naming the first difference
   */
  async agree(own: Readonly<Record<string, unknown>>): Promise<void> {
    const texts = Object.fromEntries(Object.entries(own).map(([name, value]) => [name, JSON.stringify(value)]));
    const all = await this.allGather("comparing what the ranks have", texts);
    for (const [rank, theirs] of all.entries()) {
      const names = new Set([...Object.keys(all[0]!), ...Object.keys(theirs)]);
      for (const name of names) {
        if (theirs[name] === all[0]![name]) continue;
        throw new SharedError(
          `Trainer: the ranks differ in ${name}: ${all[0]![name] ?? "nothing"} on ${this.name(0)}, ${theirs[name] ?? "nothing"} on ${this.name(rank)}. ` +
            "Start all of them with the same program, arguments, model and data.",
        );
      }
    }
  }

  async #within<T>(what: string, waiting: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const refuse = (): void =>
        reject(
          new RankTimeoutError(
            `${this.name()} has waited ${this.#timeout} s for the other ranks (${what}). One that doesn't say so as well hangs or has ended. ` +
              "ddpTimeout sets how long to wait.",
          ),
        );
      timer = setTimeout(refuse, Math.min(1000 * this.#timeout, 2 ** 31 - 1));
    });
    try {
      return await Promise.race([waiting, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
