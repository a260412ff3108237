/** Processor time of `work` in milliseconds: the least of some tries, because other programs and the garbage collector only add. */
export function processorTime(work: () => unknown, tries = 3): number {
  const times = Array.from({ length: tries }, () => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...times);
}

/**
 * How many times the processor time that `work` takes when `size` is doubled: 2 for linear work, 4 for quadratic. Measured again where
 * it looks like more than linear; the least counts.
 */
export function growth(size: number, work: (size: number) => unknown): number {
  let least = Infinity;
  for (let i = 0; i < 4 && least > 2.5; i++) {
    const once = processorTime(() => work(size));
    least = Math.min(least, processorTime(() => work(2 * size)) / Math.max(once, 1));
  }
  return least;
}
