import {
  accuracyScore, answerScores, averagePrecisionScore, balancedAccuracyScore, cohenKappaScore, confusionMatrix, entitiesOf, entityF1, entityScores, hammingLoss,
  kendallTau, labelRankingAveragePrecision, matthewsCorrcoef, meanAbsoluteError, meanSquaredError, multiLabelF1, pearsonr, precisionRecallF1, r2Score,
  rocAucScore, SIMILARITIES, similarityMetrics, spearmanr, squadV1, squadV2, subsetAccuracy, tagAccuracy, type TagScheme,
} from "@gpugrad/train"; // prettier-ignore
import { compare, mismatch, same, type Check, type Tolerance } from "./tolerance.ts";

/** A file of tasks/: each of its cases by name, and what it checks. */
export type Cases<F = never> = (
  file: F,
  path: string,
) => Iterable<readonly [name: string, work: () => Check[] | Promise<Check[]>]>;

/** "equal within 1e-9" */
const EXACT: Tolerance = { rtol: 0, atol: 1e-9 };

/** Numbers by name against golden ones, of which `null` is what is not defined. */
export function numbers(
  got: Readonly<Record<string, number>>,
  want: Readonly<Record<string, number | null>>,
  tolerance = EXACT,
): Check[] {
  return Object.entries(want).map(([name, value]) => {
    const own = got[name];
    if (own === undefined) return mismatch(name, "not computed");
    return compare(name, { data: [own], shape: [] }, { data: [value ?? NaN], shape: [] }, tolerance);
  });
}

export const numbered = <C>(cases: readonly C[], check: (one: C) => Check[] | Promise<Check[]>) =>
  cases.map((one, i) => [String(i), () => check(one)] as const);

type Scores = Record<"precision" | "recall" | "f1", number>;
const AVERAGES = ["micro", "macro", "weighted"] as const;

interface EntityMode extends Record<(typeof AVERAGES)[number], Scores> {
  per_type: Record<string, { precision: number; recall: number; "f1-score": number; support: number }>;
  truth_entities: unknown[];
  guess_entities: unknown[];
}
interface EntityCase {
  scheme: TagScheme;
  truth: string[][];
  guess: string[][];
  accuracy: number;
  default: EntityMode;
  strict: EntityMode;
}

function entityMetrics({ scheme, truth, guess, accuracy, ...modes }: EntityCase): Check[] {
  const found = (tags: string[][], options: { strict?: TagScheme }) =>
    entitiesOf(tags, options).map(({ sentence, type, first, last }) => [sentence, type, first, last]);
  return [
    ...numbers({ accuracy: tagAccuracy(truth, guess) }, { accuracy }),
    ...(["default", "strict"] as const).flatMap((mode) => {
      const want = modes[mode];
      const options = mode === "strict" ? { strict: scheme } : {};
      const own = new Map(entityScores(truth, guess, options).map((each) => [each.type, each]));
      return [
        same(`${mode} truth`, found(truth, options), want.truth_entities),
        same(`${mode} guess`, found(guess, options), want.guess_entities),
        ...AVERAGES.flatMap((average) =>
          numbers({ ...entityF1(truth, guess, { ...options, average }) }, want[average]),
        ),
        ...Object.entries(want.per_type).flatMap(([type, { "f1-score": f1, ...others }]) => {
          const { precision = 0, recall = 0, f1: got = 0, support = 0 } = own.get(type) ?? {};
          return numbers({ precision, recall, support, f1: got }, { ...others, f1 });
        }),
      ];
    }),
  ];
}

interface SquadQuestion {
  id: string;
  prediction: string;
  answers: string[];
  no_answer_probability?: number;
  exact: number;
  f1: number;
}
interface SquadFile {
  v1: { exact_match: number; f1: number; questions: SquadQuestion[] };
  v2: Record<string, number> & { questions: SquadQuestion[] };
}

const questionsOf = (questions: readonly SquadQuestion[]) =>
  questions.map(({ no_answer_probability: p, ...question }) => ({ ...question, ...(p !== undefined && { noAnswerProbability: p }) })); // prettier-ignore

const squad: Cases<SquadFile> = ({ v1, v2 }) => {
  const each = (name: "v1" | "v2", version: 1 | 2, questions: readonly SquadQuestion[]) =>
    questionsOf(questions).map((question) => [
      `${name}-${question.id}`,
      () => numbers({ ...answerScores(question, version) }, { exact: question.exact, f1: question.f1 }),
    ] as const); // prettier-ignore
  return [
    ...each("v1", 1, v1.questions),
    ["v1", () => numbers(squadV1(questionsOf(v1.questions)), { exact_match: v1.exact_match, f1: v1.f1 })],
    ...each("v2", 2, v2.questions),
    ["v2", () => {
      const questions = questionsOf(v2.questions);
      const { total, best_exact, best_exact_thresh, best_f1, best_f1_thresh } = v2 as Record<string, number>;
      const best = { total, best_exact, best_exact_thresh, best_f1, best_f1_thresh } as Record<string, number>;
      const thresholds = Object.entries(v2).flatMap(([key, totals]) => {
        const threshold = /^at_no_answer_threshold_(.+)$/.exec(key)?.[1];
        if (threshold === undefined) return [];
        return numbers(squadV2(questions, { noAnswerThreshold: Number(threshold) }), totals as unknown as Record<string, number>); // prettier-ignore
      });
      return [...numbers(squadV2(questions), best), ...thresholds];
    }],
  ]; // prettier-ignore
};

type Numbers = Record<string, number | null>;

function multiLabel(
  one: Numbers & { truth: number[][]; logits: number[][] } & Record<"micro" | "macro" | "weighted" | "samples", Scores>,
): Check[] {
  const { truth, logits, micro, macro, weighted, samples, ...others } = one;
  const classes = truth[0]!.length;
  const [labels, scores] = [truth.flat(), logits.flat().map((logit) => 1 / (1 + Math.exp(-logit)))];
  const picked = scores.map((p) => Number(p > 0.5));
  const column = (values: readonly number[], k: number) => values.filter((_, i) => i % classes === k);
  const ofColumns = (metric: (labels: number[], scores: number[]) => number): number =>
    Array.from({ length: classes }, (_, k) => metric(column(labels, k), column(scores, k))).reduce((a, b) => a + b, 0) /
    classes;
  const area = (of: number[], by: number[]): number => (new Set(of).size < 2 ? NaN : rocAucScore(of, by));
  return [
    ...Object.entries({ micro, macro, weighted, samples }).flatMap(([average, want]) =>
      numbers({ ...multiLabelF1(labels, picked, { classes, average: average as "micro" }) }, want),
    ),
    ...numbers(
      {
        subset_accuracy: subsetAccuracy(labels, picked, classes),
        hamming_loss: hammingLoss(labels, picked, classes),
        lrap: labelRankingAveragePrecision(labels, scores, classes),
        roc_auc_micro: area(labels, scores),
        roc_auc_macro: ofColumns(area),
        average_precision_micro: averagePrecisionScore(labels, scores),
        average_precision_macro: ofColumns(averagePrecisionScore),
      },
      others,
    ),
  ];
}

function classification(
  one: Record<
    "classes" | "accuracy" | "balanced_accuracy" | "matthews" | "cohen_kappa" | "macro_f1_over_seen_classes",
    number
  > & { truth: number[]; guess: number[]; confusion: number[][] } & Record<(typeof AVERAGES)[number], Scores>,
): Check[] {
  const { classes, truth, guess, confusion, micro, macro, weighted, ...others } = one;
  const labels = [...Array(classes).keys()];
  return [
    same("confusion", confusionMatrix(truth, guess, { labels }), confusion),
    ...Object.entries({ micro, macro, weighted }).flatMap(([average, want]) =>
      numbers(precisionRecallF1(truth, guess, { average: average as "micro", labels }), want),
    ),
    ...numbers(
      {
        accuracy: accuracyScore(truth, guess),
        balanced_accuracy: balancedAccuracyScore(truth, guess),
        matthews: matthewsCorrcoef(truth, guess),
        cohen_kappa: cohenKappaScore(truth, guess),
        macro_f1_over_seen_classes: precisionRecallF1(truth, guess, { average: "macro" }).f1,
      },
      others,
    ),
  ];
}

function regression({ truth, guess, ...want }: Numbers & { truth: number[]; guess: number[] }): Check[] {
  const mse = meanSquaredError(truth, guess);
  return numbers(
    {
      ...{ mse, rmse: Math.sqrt(mse), mae: meanAbsoluteError(truth, guess), r2: r2Score(truth, guess) },
      ...{
        pearson: pearsonr(truth, guess),
        spearman: spearmanr(truth, guess),
        kendall_tau_b: kendallTau(truth, guess),
      },
    },
    want,
  );
}

function sts({
  a,
  b,
  gold,
  cosine,
  ...want
}: Numbers & { a: number[][]; b: number[][]; gold: number[]; cosine: number[] }): Check[] {
  const found = { data: a.map((vector, i) => SIMILARITIES.cosine(vector, b[i]!)), shape: [a.length] };
  return [
    compare("cosine", found, { data: cosine, shape: [cosine.length] }, EXACT),
    ...numbers(similarityMetrics(a, b, gold), want),
  ];
}

/** The files of metrics by name. */
export const metricFiles: Record<string, Cases> = {
  "classification-metrics": ({ cases }) => numbered(cases, classification),
  "entity-metrics": ({ cases }) => numbered(cases, entityMetrics),
  "multi-label-metrics": ({ cases }) => numbered(cases, multiLabel),
  "regression-metrics": ({ cases }) => numbered(cases, regression),
  squad,
  sts: ({ cases }) => numbered(cases, sts),
};
