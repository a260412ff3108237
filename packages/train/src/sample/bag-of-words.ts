/**
 * What counting words can do: logistic regression on TF-IDF of single words, the baseline to beat.
 *
 * Weights are count · (ln((1 + n) / (1 + documents with the word)) + 1), each text scaled to length 1, as scikit-learn's
 * `TfidfVectorizer` has them; the loss is C·Σ log(1 + exp(−y·score)) + ½‖w‖², as in its `LogisticRegression`, in float64 by L-BFGS.
 *
 * @see https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting
 */
import type { Row } from "../data/dataset.ts";
import { DataError } from "../errors.ts";

/** Accuracy on the test rows, the strength C that was chosen, and the number of different words. */
export type BagOfWordsResult = { accuracy: number; C: number; vocabulary: number };

type Example = { words: readonly number[]; values: readonly number[]; y: 1 | -1 };
type LabelledText = Pick<Row, "text" | "label">;

/** Words of two letters and more, as scikit-learn takes them. */
const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}_]{2,}/gu) ?? [];

function vectorize(rows: readonly LabelledText[], vocabulary: Map<string, number>, idf: readonly number[]): Example[] {
  return rows.map(({ text, label }) => {
    const counts = new Map<number, number>();
    for (const word of wordsOf(text)) {
      const id = vocabulary.get(word);
      if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const weights = [...counts].map(([id, count]) => count * idf[id]!);
    const norm = Math.hypot(...weights) || 1;
    return { words: [...counts.keys()], values: weights.map((weight) => weight / norm), y: label === 1 ? 1 : -1 };
  });
}

/** Score of an example: w·x + b; the last weight is b. */
function score(w: Float64Array, { words, values }: Example): number {
  let sum = w[w.length - 1]!;
  for (let k = 0; k < words.length; k++) sum += w[words[k]!]! * values[k]!;
  return sum;
}

/** Loss and its gradient. The intercept is not penalized. */
function lossAndGradient(w: Float64Array, examples: readonly Example[], C: number): [number, Float64Array] {
  const gradient = new Float64Array(w.length);
  let loss = 0;
  for (let i = 0; i < w.length - 1; i++) {
    loss += 0.5 * w[i]! ** 2;
    gradient[i] = w[i]!;
  }
  for (const example of examples) {
    const margin = example.y * score(w, example);
    loss += C * (margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin);
    const slope = (-C * example.y) / (1 + Math.exp(margin));
    example.words.forEach((id, k) => (gradient[id]! += slope * example.values[k]!));
    gradient[w.length - 1]! += slope;
  }
  return [loss, gradient];
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
/** a + t·b */
const along = (a: Float64Array, t: number, b: Float64Array) => a.map((value, i) => value + t * b[i]!);

/** L-BFGS with ten pairs of differences and halving steps. @see Nocedal & Wright, Numerical Optimization, algorithm 7.4 */
function fit(examples: readonly Example[], features: number, C: number): Float64Array {
  let w = new Float64Array(features + 1);
  let [loss, gradient] = lossAndGradient(w, examples, C);
  const pairs: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < 300 && Math.max(...gradient.map(Math.abs)) > 1e-4; iteration++) {
    let direction = gradient.map((g) => -g);
    const alphas = pairs.toReversed().map(({ s, y, rho }) => {
      const alpha = rho * dot(s, direction);
      direction = along(direction, -alpha, y);
      return alpha;
    });
    const last = pairs.at(-1);
    if (last) direction = direction.map((d) => d / (last.rho * dot(last.y, last.y)));
    pairs.forEach(({ s, y, rho }, i) => {
      direction = along(direction, alphas.at(-1 - i)! - rho * dot(y, direction), s);
    });
    const slope = dot(gradient, direction);
    for (let t = last ? 1 : 1 / Math.sqrt(dot(gradient, gradient)); t > 1e-12; t /= 2) {
      const next = along(w, t, direction);
      const [nextLoss, nextGradient] = lossAndGradient(next, examples, C);
      if (!(nextLoss <= loss + 1e-4 * t * slope)) continue;
      const [s, y] = [along(next, -1, w), along(nextGradient, -1, gradient)];
      if (dot(s, y) > 0) pairs.push({ s, y, rho: 1 / dot(s, y) });
      if (pairs.length > 10) pairs.shift();
      [w, loss, gradient] = [next, nextLoss, nextGradient];
      break;
    }
  }
  return w;
}

const accuracyOf = (w: Float64Array, examples: readonly Example[]) =>
  examples.filter((example) => score(w, example) > 0 === example.y > 0).length / examples.length;

/**
 * Trains on rows with labels 0 and 1 and counts the right ones among the test rows. C is the one of 0.01 … 100 that does
 * best on the last fifth of the training rows when trained on the others; then all of them are used.
 *
 * @throws {@link DataError} for other labels.
 */
export function bagOfWordsBaseline(train: readonly LabelledText[], test: readonly LabelledText[]): BagOfWordsResult {
  const odd = [...train, ...test].find(({ label }) => label !== 0 && label !== 1);
  if (odd) throw new DataError(`bagOfWordsBaseline: labels are to be 0 or 1: found ${odd.label}.`);
  const documents = new Map<string, number>();
  for (const { text } of train)
    for (const word of new Set(wordsOf(text))) documents.set(word, (documents.get(word) ?? 0) + 1);
  const vocabulary = new Map([...documents.keys()].map((word, id) => [word, id]));
  const idf = [...documents.values()].map((count) => Math.log((1 + train.length) / (1 + count)) + 1);

  const examples = vectorize(train, vocabulary, idf);
  const cut = Math.floor(0.8 * examples.length);
  const [others, heldOut] = [examples.slice(0, cut), examples.slice(cut)];
  let [C, best] = [1, -1];
  for (const candidate of [0.01, 0.1, 1, 10, 100]) {
    const accuracy = accuracyOf(fit(others, vocabulary.size, candidate), heldOut);
    if (accuracy > best) [C, best] = [candidate, accuracy];
  }
  const accuracy = accuracyOf(fit(examples, vocabulary.size, C), vectorize(test, vocabulary, idf));
  return { accuracy, C, vocabulary: vocabulary.size };
}
