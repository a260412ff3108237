/**
 * How many times longer `work` takes for 2n than for n, in processor time, so that other programs do not count: 2 where time is in
 * proportion, 4 where it is quadratic. The best of several tries, since a collection of garbage may fall into any of them.
 */
export async function timesWhenDoubled(work: (n: number) => unknown, n: number): Promise<number> {
  const seconds = async (size: number): Promise<number> => {
    const before = process.cpuUsage();
    await work(size);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  };
  await seconds(Math.ceil(n / 4)); // compiled
  let best = Infinity;
  for (let attempt = 0; attempt < 4 && best >= 3; attempt++) {
    const small = Math.max(await seconds(n), 0.005); // below it there is nothing to see
    best = Math.min(best, (await seconds(2 * n)) / small);
  }
  return best;
}
