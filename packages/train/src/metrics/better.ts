/** How {@link isBetter} compares. */
export interface Comparison {
  /** Whether a greater metric is better. */
  greater: boolean;
  /** What a metric has to pass, from the best so far; that itself by default. */
  bar?: (best: number) => number;
}

/**
 * Whether a metric is better than the best so far: what the best model, early stopping, `saveStrategy: "best"` and the schedules that watch
 * a metric ask. A metric that is NaN is never better, and every number but the worst infinity is better than none or NaN.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/trainer.py (_determine_best_metric)
 */
export function isBetter(
  metric: number,
  best: number | null | undefined,
  { greater, bar = (value) => value }: Comparison,
): boolean {
  const known = best ?? NaN;
  const passes = bar(Number.isNaN(known) ? (greater ? -Infinity : Infinity) : known);
  return greater ? metric > passes : metric < passes;
}
