// One workgroup whose invocations run in the worst order that its barriers allow.

/** What an invocation does: each `yield` is a barrier. */
export type Invocation = Generator<undefined, void>;

/** Orders in which invocations take their turns between two barriers: first to last, last to first, and from the middle. */
const orders: ((count: number) => number[])[] = [
  (count) => Array.from({ length: count }, (_, i) => i),
  (count) => Array.from({ length: count }, (_, i) => count - 1 - i),
  (count) => Array.from({ length: count }, (_, i) => (i + (count >> 1)) % count),
];

/**
 * Runs `invocations` of a workgroup, each as far as the next barrier before another gets its turn, once in each order.
 * @param start makes fresh memory, and the invocation of a number that works on it
 * @returns what each order leaves in memory
 */
export function inAllOrders<M>(
  invocations: number,
  start: () => { memory: M; invocation: (lane: number) => Invocation },
): M[] {
  return orders.map((order) => {
    const { memory, invocation } = start();
    let running = order(invocations).map(invocation);
    while (running.length > 0) running = running.filter((each) => !each.next().done);
    return memory;
  });
}
