import type { Ranks } from "@gpugrad/train";

/** Rows from number `skip` on: of several ranks, every rank's blocks of them in turn. */
export async function* sharedRows<T>(
  rows: AsyncIterable<T>,
  { rank, size }: Pick<Ranks, "rank" | "size">,
  { block, skip = 0 }: { block: number; skip?: number | undefined },
): AsyncGenerator<T> {
  let number = -skip;
  for await (const row of rows) {
    if (number >= 0 && Math.floor(number / block) % size === rank) yield row;
    number++;
  }
}

/** What the ranks have made of their blocks, in the order of the rows, on rank 0; the others give theirs away. */
export async function* inRowOrder<T>(ranks: Ranks, results: AsyncIterable<T[]>, block: number): AsyncGenerator<T[]> {
  if (ranks.size === 1) {
    yield* results;
    return;
  }
  const iterator = results[Symbol.asyncIterator]();
  let waiting: T[] = [];
  for (let hasEnded = false; ;) {
    while (!hasEnded && waiting.length < block) {
      const next = await iterator.next();
      if (next.done) hasEnded = true;
      else waiting = [...waiting, ...next.value];
    }
    const own = waiting.slice(0, block);
    waiting = waiting.slice(block);
    const all = await ranks.allGather("results", { own, isLast: hasEnded && waiting.length === 0 });
    if (ranks.isFirst) for (const { own } of all) if (own.length > 0) yield own;
    if (all.every(({ isLast }) => isLast)) return;
  }
}
