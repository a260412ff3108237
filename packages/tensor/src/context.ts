import { contextVariable } from "#platform";

interface Frame<T> {
  readonly value: T;
  readonly outer: Frame<T> | undefined;
  open: boolean;
}

/** What happens when some work ends: with its result, and the value around it. */
type Leave<T> = (end: { result?: unknown; outer: T | undefined; asynchronous: boolean }) => void;

/**
 * A value that is in force while some work runs, and around it another, or none. Asynchronous works that overlap have each their own, in
 * Node; a browser does not tell them apart, and the one that began last counts (see docs/memory.md).
 */
export class Context<T> {
  readonly #activity = contextVariable<Frame<T>>();
  /** Of the work that is running now, as long as it has not awaited anything. */
  #running: Frame<T> | undefined;

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
  run<R>(value: T, work: () => R, leave?: Leave<T>): R {
    const frame = this.#frame(value);
    const result = this.#enter(frame, () => this.#activity.run(frame, work), leave);
    if (!(result instanceof Promise)) {
      this.#end(frame, leave, { result, asynchronous: false });
      return result;
    }
    return result.then(
      (value: unknown) => {
        this.#end(frame, leave, { result: value, asynchronous: true });
        return value;
      },
      (error: unknown) => {
        this.#end(frame, leave, { asynchronous: true });
        throw error;
      },
    ) as R;
  }

  /** Runs work that is not asynchronous: cheaper. */
  runNow<R>(value: T, work: () => R, leave?: Leave<T>): R {
    const frame = this.#frame(value);
    const result = this.#enter(frame, work, leave);
    this.#end(frame, leave, { result, asynchronous: false });
    return result;
  }

  #frame(value: T): Frame<T> {
    return { value, outer: this.#open(this.#running ?? this.#activity.getStore()), open: true };
  }

  #enter<R>(frame: Frame<T>, work: () => R, leave: Leave<T> | undefined): R {
    const before = this.#running;
    this.#running = frame;
    try {
      return work();
    } catch (error) {
      this.#end(frame, leave, { asynchronous: false });
      throw error;
    } finally {
      this.#running = before;
    }
  }

  #end(frame: Frame<T>, leave: Leave<T> | undefined, how: { result?: unknown; asynchronous: boolean }): void {
    frame.open = false;
    leave?.({ ...how, outer: this.#open(frame.outer)?.value });
  }
}
