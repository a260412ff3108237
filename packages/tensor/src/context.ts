import { contextVariable } from "#platform";

interface Frame<T> {
  readonly value: T;
  readonly outer: Frame<T> | undefined;
  open: boolean;
}

/** A value that is in force only where it is asked for: see {@link Context.open}. */
export interface OpenContext {
  readonly isOpen: boolean;
  run<R>(work: () => R): R;
  close(): void;
}

/** What happens when the work that `value` was in force for ends, with `outer` around it; without a result when it threw. */
type Leave<T> = (value: T, outer: T | undefined, asynchronous: boolean, result?: unknown) => void;

/**
 * A value that is in force while some work runs, and around it another, or none. Asynchronous works that overlap have each their own, in
 * Node; a browser does not keep them apart, and the one that began last counts (see docs/memory.md).
 */
export class Context<T> {
  readonly #activity = contextVariable<Frame<T>>();
  /** Of the work that is running now, as long as it has not awaited anything. */
  #running: Frame<T> | undefined;
  readonly #leave: Leave<T> | undefined;

  constructor(leave?: Leave<T>) {
    this.#leave = leave;
  }

  /** The value in force. */
  get current(): T | undefined {
    return this.#open(this.#running ?? this.#activity.getStore())?.value;
  }

  /** What was begun in a work and outlives it is in what is around the work. */
  #open(frame: Frame<T> | undefined): Frame<T> | undefined {
    while (frame && !frame.open) frame = frame.outer;
    return frame;
  }

  /** Runs `work`, asynchronous or not, with `value` in force. */
  run<R>(value: T, work: () => R): R {
    const frame = this.#begin(value);
    const result = this.#enter(frame, () => this.#activity.run(frame, work));
    if (!(result instanceof Promise)) {
      this.#end(frame, false, result);
      return result;
    }
    return result.then(
      (value: unknown) => {
        this.#end(frame, true, value);
        return value;
      },
      (error: unknown) => {
        this.#end(frame, true);
        throw error;
      },
    ) as R;
  }

  /**
   * A value that is in force in what `run` is given, up to its first await, until `close`: however many works overlap, in a browser too.
   */
  open(value: T): OpenContext {
    const frame = this.#begin(value);
    return {
      get isOpen() {
        return frame.open;
      },
      run: (work) => this.#inForce(frame, work),
      close: () => this.#end(frame, false),
    };
  }

  /** Runs work that is not asynchronous: cheaper. */
  runNow<R>(value: T, work: () => R): R {
    const frame = this.#begin(value);
    const result = this.#enter(frame, work);
    this.#end(frame, false, result);
    return result;
  }

  #begin(value: T): Frame<T> {
    return { value, outer: this.#open(this.#running ?? this.#activity.getStore()), open: true };
  }

  #enter<R>(frame: Frame<T>, work: () => R): R {
    try {
      return this.#inForce(frame, work);
    } catch (error) {
      this.#end(frame, false);
      throw error;
    }
  }

  #inForce<R>(frame: Frame<T>, work: () => R): R {
    const before = this.#running;
    this.#running = frame;
    try {
      return work();
    } finally {
      this.#running = before;
    }
  }

  #end(frame: Frame<T>, asynchronous: boolean, result?: unknown): void {
    frame.open = false;
    this.#leave?.(frame.value, this.#open(frame.outer)?.value, asynchronous, result);
  }
}
