/**
 * Exact match and F1 of answers to questions, by the rules of SQuAD's official evaluation.
 *
 * @see https://rajpurkar.github.io/SQuAD-explorer/
 */
import { check } from "@gpugrad/tensor";

/** A question's predicted answer, and the answers that count as right: none where the question can't be answered. */
export interface AnsweredQuestion {
  prediction: string;
  answers: readonly string[];
  /** How likely it is that there is no answer, for {@link squadV2}. Default 0. */
  noAnswerProbability?: number;
}

/** Shares of 1 for a question; percentages over several. */
export interface AnswerScores {
  exact: number;
  f1: number;
}

/** What Python's `string.punctuation` holds. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/** What Python's `str.split()` splits at. */
const SPACES = /(?:\s|\x85)+/u;

/** An answer without case, ASCII punctuation, articles and superfluous white space. */
export function normalizeAnswer(text: string): string {
  const plain = text.toLowerCase().replaceAll(PUNCTUATION, "");
  // As Python's \b: letters and digits of any script are part of words.
  return wordsOf(plain.replaceAll(/(?<![\p{L}\p{N}_])(a|an|the)(?![\p{L}\p{N}_])/gu, " ")).join(" ");
}

const wordsOf = (text: string): string[] => text.split(SPACES).filter(Boolean);

/** F1 of the words of two normalized answers, as often as they occur. */
function wordF1(prediction: string, answer: string): number {
  const [a, b] = [wordsOf(prediction), wordsOf(answer)];
  const left = new Map<string, number>();
  for (const word of b) left.set(word, (left.get(word) ?? 0) + 1);
  let same = 0;
  for (const word of a) {
    const count = left.get(word) ?? 0;
    if (count > 0) same++;
    left.set(word, count - 1);
  }
  return same === 0 ? 0 : (2 * same) / (a.length + b.length);
}

/** A prediction beside the answer that it is most like. SQuAD 2.0: two empty answers agree; without an answer, the empty one is right. */
export function answerScores({ prediction, answers }: AnsweredQuestion, version: 1 | 2 = 1): AnswerScores {
  const guess = normalizeAnswer(prediction);
  const normalized = answers.map(normalizeAnswer);
  const known = normalized.filter((answer) => version === 1 || answer !== "");
  if (version === 2 && known.length === 0) known.push("");
  check(known.length > 0, () => "squad: a question has no answers. In version 2.0 it may have none.");
  const scores = known.map((answer) => {
    const exact = Number(guess === answer);
    return { exact, f1: version === 2 && (guess === "" || answer === "") ? exact : wordF1(guess, answer) };
  });
  return { exact: Math.max(...scores.map((s) => s.exact)), f1: Math.max(...scores.map((s) => s.f1)) };
}

const percent = (values: readonly number[]): number =>
  (100 * values.reduce((sum, value) => sum + value, 0)) / values.length;

/** Exact match and F1 in percent, where each question has an answer. @see https://huggingface.co/spaces/evaluate-metric/squad */
export function squadV1(questions: readonly AnsweredQuestion[]): { exact_match: number; f1: number } {
  const scores = questions.map((question) => answerScores(question));
  return { exact_match: percent(scores.map((s) => s.exact)), f1: percent(scores.map((s) => s.f1)) };
}

const hasAnswer = ({ answers }: AnsweredQuestion): boolean => answers.some((answer) => answer !== "");

/**
 * Exact match and F1 in percent, where questions may have no answer: of all, of those with an answer (`HasAns_`) and of those without (`NoAns_`); and
 * the thresholds of the probability of no answer that would be best.
 * @param options `noAnswerThreshold`: above it, a question counts as answered with nothing (default 1: never)
 * @see https://huggingface.co/spaces/evaluate-metric/squad_v2
 */
export function squadV2(
  questions: readonly AnsweredQuestion[],
  { noAnswerThreshold = 1 }: { noAnswerThreshold?: number } = {},
): Record<string, number> {
  const scores = questions.map((question) => answerScores(question, 2));
  const seen = questions.map((question, i) => {
    const withheld = (question.noAnswerProbability ?? 0) > noAnswerThreshold;
    const none = Number(!hasAnswer(question));
    return { has: hasAnswer(question), ...(withheld ? { exact: none, f1: none } : scores[i]!) };
  });
  const totals = (prefix: string, some: typeof seen): Record<string, number> =>
    some.length === 0
      ? {}
      : {
          [`${prefix}exact`]: percent(some.map((s) => s.exact)),
          [`${prefix}f1`]: percent(some.map((s) => s.f1)),
          [`${prefix}total`]: some.length,
        };
  const best = (key: keyof AnswerScores): Record<string, number> => {
    const [score, threshold] = bestThreshold(questions, scores.map((s) => s[key])); // prettier-ignore
    return { [`best_${key}`]: score, [`best_${key}_thresh`]: threshold };
  };
  return {
    ...totals("", seen),
    ...totals("HasAns_", seen.filter((s) => s.has)),
    ...totals("NoAns_", seen.filter((s) => !s.has)),
    ...(questions.length > 0 && { ...best("exact"), ...best("f1") }),
  }; // prettier-ignore
}

/** At first all questions are answered with nothing; then, the least likely to have no answer first, each by its prediction. */
function bestThreshold(questions: readonly AnsweredQuestion[], scores: readonly number[]): [number, number] {
  const probability = (i: number): number => questions[i]!.noAnswerProbability ?? 0;
  const order = questions.map((_, i) => i).sort((i, j) => probability(i) - probability(j));
  let score = questions.filter((question) => !hasAnswer(question)).length;
  let [best, threshold] = [score, 0];
  for (const i of order) {
    const question = questions[i]!;
    score += hasAnswer(question) ? scores[i]! : question.prediction === "" ? 0 : -1;
    if (score > best) [best, threshold] = [score, probability(i)];
  }
  return [(100 * best) / questions.length, threshold];
}
