/** Values of a curve as they are stored: the last update, how many there are up to it, their mean, least and greatest. */
export interface Point {
  step: number;
  count: number;
  mean: number;
  min: number;
  max: number;
}

/** Points that a curve keeps at most. */
const MOST_POINTS = 1024;

/** A value per update, in constant memory: when there are too many points, each two neighbours become one. */
export class Curve {
  points: Point[];
  /** Updates that a point covers. */
  #stride: number;

  constructor(points: Point[] = []) {
    this.points = points;
    this.#stride = points.reduce((most, { count }) => Math.max(most, count), 1);
  }

  add(step: number, value: number): void {
    if (!Number.isFinite(value)) return;
    const point = { step, count: 1, mean: value, min: value, max: value };
    const last = this.points.at(-1);
    if (last && last.count < this.#stride) this.points[this.points.length - 1] = merged(last, point);
    else this.points.push(point);
    if (this.points.length <= MOST_POINTS) return;
    this.#stride *= 2;
    this.points = this.points.flatMap((first, i) => {
      const second = this.points[i + 1];
      return i % 2 === 1 ? [] : second ? [merged(first, second)] : [first];
    });
  }

  /** Forgets what came after an update. */
  dropAfter(step: number): void {
    this.points = this.points.filter((point) => point.step <= step);
  }

  /**
   * Means of neighbours on both sides, the nearer ones counting more: exponentially weighted over about a fortieth of all updates. Undefined
   * for a curve too short to need it.
   */
  smoothed(): number[] | undefined {
    if (this.points.length < 12) return undefined;
    const reach = this.updates / 40;
    const after = sumsSoFar([...this.points].reverse(), reach).reverse();
    return sumsSoFar(this.points, reach).map(([sum, weight], i) => (sum + after[i]![0]) / (weight + after[i]![1]));
  }

  /** How many values there are. */
  get updates(): number {
    return this.points.reduce((sum, { count }) => sum + count, 0);
  }

  /** As JSON: `[step, mean]` for a single update, `[step, mean, count, min, max]` for several. */
  toJSON(): number[][] {
    return this.points.map(({ step, count, mean, min, max }) =>
      count === 1 ? [step, short(mean)] : [step, short(mean), count, short(min), short(max)],
    );
  }

  static fromJSON(stored: number[][]): Curve {
    return new Curve(
      stored.map(([step, mean, count = 1, min = mean!, max = mean!]) => ({
        step: step!,
        count,
        mean: mean!,
        min,
        max,
      })),
    );
  }
}

/** Floats as the device has them need no more digits. */
const short = (value: number): number => Number(value.toPrecision(8));

/** Sums of the means so far, the older ones counting less, and of their weights. */
function sumsSoFar(points: readonly Point[], reach: number): [sum: number, weight: number][] {
  let [sum, weight] = [0, 0];
  return points.map(({ count, mean }) => {
    const kept = Math.exp(-count / reach);
    sum = kept * sum + (1 - kept) * mean;
    weight = kept * weight + (1 - kept);
    return [sum, weight];
  });
}

function merged(a: Point, b: Point): Point {
  const count = a.count + b.count;
  return {
    step: b.step,
    count,
    mean: (a.count * a.mean + b.count * b.mean) / count,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
  };
}

const CURVES = ["loss", "gradNorm", "learningRate", "tokensPerSecond", "deviceBytes", "rssBytes"] as const;

export type CurveName = (typeof CURVES)[number];

/** One evaluation: Transformers' metrics (`eval_loss`, …) after an update. */
export interface EvaluationMetrics {
  step: number;
  metrics: Record<string, number>;
}

/** Evaluations that are kept at most. */
const MOST_EVALUATIONS = 512;

/** Rows longer than this are counted with those of this length. */
const LONGEST = 8192;

/** How many steps with a loss or gradient that isn't finite are named; all are counted. */
const NAMED_STEPS = 10;

/** Everything about a run that grows with its updates, in constant memory. */
export class History {
  readonly curves: Record<CurveName, Curve>;
  evaluations: EvaluationMetrics[];
  /** Rows trained on, by their number of tokens. */
  readonly lengths: number[];
  tokens: number;
  /** With the padding. */
  paddedTokens: number;
  /** The last update whose rows are in `lengths`. */
  countedTo: number;
  /** Updates whose loss or gradient norm was NaN or infinite: the first of them, and how many. */
  nonFinite: { steps: number[]; count: number };
  /** Time spent in training, over all its parts. */
  seconds: number;

  constructor(stored?: ReturnType<History["toJSON"]>) {
    this.curves = Object.fromEntries(
      CURVES.map((name) => [name, Curve.fromJSON(stored?.curves[name] ?? [])]),
    ) as History["curves"];
    this.evaluations = stored?.evaluations ?? [];
    this.lengths = stored?.lengths ?? [];
    this.tokens = stored?.tokens ?? 0;
    this.paddedTokens = stored?.paddedTokens ?? 0;
    this.countedTo = stored?.countedTo ?? 0;
    this.nonFinite = stored?.nonFinite ?? { steps: [], count: 0 };
    this.seconds = stored?.seconds ?? 0;
  }

  toJSON(): {
    curves: Record<string, number[][]>;
    evaluations: EvaluationMetrics[];
    lengths: number[];
    tokens: number;
    paddedTokens: number;
    countedTo: number;
    nonFinite: { steps: number[]; count: number };
    seconds: number;
  } {
    const { evaluations, tokens, paddedTokens, countedTo, nonFinite, seconds } = this;
    const curves = Object.fromEntries(CURVES.map((name) => [name, this.curves[name].toJSON()]));
    const lengths = Array.from(this.lengths, (count) => count ?? 0); // JSON has no holes
    return { curves, evaluations, lengths, tokens, paddedTokens, countedTo, nonFinite, seconds };
  }

  /** An update's values; those that aren't finite are counted, and left out of the curves. */
  add(step: number, values: Partial<Record<CurveName, number>>): void {
    for (const name of CURVES) if (values[name] !== undefined) this.curves[name].add(step, values[name]);
    if ([values.loss, values.gradNorm].every((value) => value === undefined || Number.isFinite(value))) return;
    this.nonFinite.count++;
    if (this.nonFinite.steps.length < NAMED_STEPS) this.nonFinite.steps.push(step);
  }

  /**
   * An evaluation, in place of one after the same update: one of the best model may come after later ones. When there are too many, every
   * other one is forgotten, but not that of `best`.
   */
  addEvaluation(evaluation: EvaluationMetrics, best?: number): void {
    const others = this.evaluations.filter(({ step }) => step !== evaluation.step);
    this.evaluations = [...others, evaluation].sort((a, b) => a.step - b.step);
    if (this.evaluations.length <= MOST_EVALUATIONS) return;
    this.evaluations = this.evaluations.filter(({ step }, i) => i % 2 === 0 || step === best);
  }

  /** The lengths of an update's rows. An update that is done again after a resume has the same rows: they count once. */
  addLengths(step: number, batches: readonly (readonly number[])[], paddedLength?: number): void {
    if (step <= this.countedTo) return;
    this.countedTo = step;
    for (const batch of batches) {
      this.paddedTokens += batch.length * (paddedLength ?? Math.max(0, ...batch));
      for (const length of batch) {
        this.tokens += length;
        const at = Math.min(length, LONGEST);
        this.lengths[at] = (this.lengths[at] ?? 0) + 1;
      }
    }
  }

  /** Goes back to an update: a resumed run does again what came after it. */
  dropAfter(step: number): void {
    for (const name of CURVES) this.curves[name].dropAfter(step);
    const again = this.nonFinite.steps.filter((at) => at > step).length;
    this.nonFinite = {
      steps: this.nonFinite.steps.filter((at) => at <= step),
      count: this.nonFinite.count - again,
    };
  }
}
