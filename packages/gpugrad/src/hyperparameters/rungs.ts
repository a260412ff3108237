/** A stage of successive halving: how many trials train up to which share of their updates. */
export interface Rung {
  trials: number;
  until: number;
}

/**
 * Successive halving: all trials train a little, the best of them, one in `factor`, go on to `factor` times as much, until one is trained whole.
 * @see https://arxiv.org/abs/1502.07943
 */
export function rungsOf(trials: number, factor: number): Rung[] {
  const counts = [trials];
  while (counts.at(-1)! >= factor) counts.push(Math.floor(counts.at(-1)! / factor));
  return counts.map((count, i) => ({ trials: count, until: factor ** (i + 1 - counts.length) }));
}

/** Trials with the best result first, and those without one last; ties in the order of their numbers. */
export function bestFirst<T extends { name: number }>(
  trials: readonly T[],
  resultOf: (trial: T) => { value: number | null } | undefined,
  greater: boolean,
): T[] {
  const score = (trial: T): number => {
    const value = resultOf(trial)?.value ?? null;
    return value === null ? -Infinity : greater ? value : -value;
  };
  return [...trials].sort((a, b) => (score(a) === score(b) ? a.name - b.name : score(b) - score(a)));
}
