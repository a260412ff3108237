import { setTimeout } from "node:timers/promises";

/** Starts reading the next item before it is requested; a failure is thrown where it is awaited. */
function pull<T>(iterator: AsyncIterator<T>): Promise<IteratorResult<T>> {
  const next = iterator.next();
  next.catch(() => undefined);
  return next;
}

/** Items in groups of `size`; of fewer when no more come within `patience` ms of the first. */
export async function* windowsOf<T>(items: AsyncIterable<T>, size: number, patience: number): AsyncGenerator<T[]> {
  const iterator = items[Symbol.asyncIterator]();
  let next = pull(iterator);
  for (let first = await next; !first.done; first = await next) {
    const window = [first.value];
    next = pull(iterator);
    const timeIsUp = setTimeout(patience, undefined, { ref: false });
    while (window.length < size) {
      const result = await Promise.race([next, timeIsUp]);
      if (!result || result.done) break;
      window.push(result.value);
      next = pull(iterator);
    }
    yield window;
  }
}

/** The same items, each asked for while the one before is still worked on. */
export async function* ahead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  let next = pull(iterator);
  for (let item = await next; !item.done; item = await next) {
    next = pull(iterator);
    yield item.value;
  }
}

/**
 * Works on items, `atOnce` at a time, and gives the results in their order, each as soon as it is there: a result that is ready does not
 * wait for the next item to come.
 */
export async function* mapAhead<T, R>(
  items: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  atOnce: number,
): AsyncGenerator<R> {
  const iterator = items[Symbol.asyncIterator]();
  const inFlight: Promise<R>[] = [];
  let next: Promise<IteratorResult<T>> | undefined = pull(iterator);
  try {
    while (next || inFlight.length > 0) {
      const arriving = inFlight.length < atOnce ? next?.then((item) => ({ item })) : undefined;
      const finished = inFlight[0]?.then((result) => ({ result }));
      const first = await Promise.race([arriving, finished].filter((promise) => promise !== undefined));
      if ("result" in first) {
        void inFlight.shift();
        yield first.result;
      } else if (first.item.done) {
        next = undefined;
      } else {
        next = pull(iterator);
        const result = work(first.item.value);
        result.catch(() => undefined); // thrown where it is awaited
        inFlight.push(result);
      }
    }
  } finally {
    await Promise.allSettled(inFlight);
  }
}
