import { simulate, type Invocation, type Memory } from "../step/workgroup.ts";

/** Orders in which invocations take their turns between two barriers: first to last, last to first, and from the middle. */
const orders: ((count: number) => number[])[] = [
  (count) => Array.from({ length: count }, (_, i) => i),
  (count) => Array.from({ length: count }, (_, i) => count - 1 - i),
  (count) => Array.from({ length: count }, (_, i) => (i + (count >> 1)) % count),
];

/**
 * Runs `count` invocations of a workgroup, each as far as the next barrier before another gets its turn, once in each order: the worst that
 * their barriers allow.
 * @returns what each order leaves in memory, by the memories' names
 */
export function inAllOrders(
  count: number,
  memories: () => Memory[],
  invocation: (lane: number) => Invocation,
): Record<string, Float64Array>[] {
  return orders.map((order) => {
    const own = memories();
    simulate(own, order(count).map(invocation), 1);
    return Object.fromEntries(own.map(({ name, data }) => [name, data]));
  });
}
