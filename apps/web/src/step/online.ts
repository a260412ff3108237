/** What online softmax carries after a key. */
export interface OnlineState {
  /** The largest score so far. */
  m: number;
  /** Σ exp(s − m) over the keys so far, by key: what each adds to l. */
  terms: number[];
  /** Σ exp(s − m) v, the numerator of y. */
  o: number;
  /** exp(m_old − m_new): what all before was multiplied with. */
  shrink: number;
}

/** The states after 0, 1, 2 … keys with these scores and values (one number for each key). */
export function onlineSoftmax(
  scores: readonly number[],
  values: readonly number[],
  { forget = false } = {},
): OnlineState[] {
  const states: OnlineState[] = [{ m: -Infinity, terms: [], o: 0, shrink: 1 }];
  for (const [j, s] of scores.entries()) {
    const last = states.at(-1)!;
    const m = Math.max(last.m, s);
    const shrink = j === 0 || forget ? 1 : Math.exp(last.m - m);
    const p = Math.exp(s - m);
    states.push({ m, terms: [...last.terms.map((t) => t * shrink), p], o: last.o * shrink + p * values[j]!, shrink });
  }
  return states;
}

/** y by the formula, from all scores at once. */
export function softmaxMean(scores: readonly number[], values: readonly number[]): number {
  const m = Math.max(...scores);
  const p = scores.map((s) => Math.exp(s - m));
  return p.reduce((sum, w, j) => sum + w * values[j]!, 0) / p.reduce((a, b) => a + b, 0);
}
