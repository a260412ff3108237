import { checkOptions } from "@gpugrad/tensor";

/** What a model says of a window over a context. */
export interface AnswerWindow {
  readonly startLogits: ArrayLike<number>;
  readonly endLogits: ArrayLike<number>;
  /** Where each token lies in the context, in code points; undefined for what is not of it: question, special tokens, padding. */
  readonly offsets: readonly (readonly [start: number, end: number] | undefined)[];
  /** Whether this window is the one with most context around a token; only there may an answer start. Default: everywhere. */
  readonly maxContext?: readonly boolean[];
}

/** A possible answer, the best first among others. */
export interface AnswerCandidate {
  text: string;
  score: number;
  /** Softmax over the candidates. */
  probability: number;
  start_logit: number;
  end_logit: number;
  /** Where it lies in the context, in code points. Both are 0 for the empty answer, and null where nothing was found. */
  start: number | null;
  end: number | null;
}

export interface BestAnswersOptions {
  /** How many starts and ends are paired, and candidates are kept. Default 20. */
  nBestSize?: number;
  /** In tokens. Default 30. */
  maxAnswerLength?: number;
  /** Whether there may be no answer. Default false. */
  version2?: boolean;
  /** The empty answer is given where it scores more than this above the best one. Default 0. */
  nullScoreDiffThreshold?: number;
}

/** What is found in a context. */
export interface BestAnswers {
  /** Empty where there is none. */
  answer: string;
  nBest: AnswerCandidate[];
  /** How far no answer scores above the best one; only where there may be none. */
  scoreDiff?: number;
}

type Span = Omit<AnswerCandidate, "text" | "probability">;

/**
 * The best answers from the windows over a context, as Transformers' question answering example finds them: pairs of the best starts and ends of
 * each window, ranked by the sum of their logits. No answer scores what the first token does, in the window where that is least.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/question-answering/utils_qa.py
 */
export function bestAnswers(
  context: string,
  windows: readonly AnswerWindow[],
  options: BestAnswersOptions = {},
): BestAnswers {
  checkOptions("bestAnswers", options, { nBestSize: "index?", maxAnswerLength: "index?", version2: "boolean?", nullScoreDiffThreshold: "number?" }); // prettier-ignore
  const { nBestSize = 20, maxAnswerLength = 30, version2 = false, nullScoreDiffThreshold = 0 } = options;
  let none: Span | undefined;
  const spans: Span[] = [];
  for (const { startLogits, endLogits, offsets, maxContext } of windows) {
    const score = startLogits[0]! + endLogits[0]!;
    if (!none || score < none.score)
      none = { start: 0, end: 0, score, start_logit: startLogits[0]!, end_logit: endLogits[0]! };
    const ends = largest(endLogits, nBestSize);
    for (const s of largest(startLogits, nBestSize)) {
      const from = offsets[s];
      if (!from || maxContext?.[s] === false) continue;
      for (const e of ends) {
        const to = offsets[e];
        if (!to || e < s || e - s + 1 > maxAnswerLength) continue;
        const [start_logit, end_logit] = [startLogits[s]!, endLogits[e]!];
        spans.push({ start: from[0], end: to[1], score: start_logit + end_logit, start_logit, end_logit });
      }
    }
  }
  if (version2 && none) spans.push(none);
  const kept = spans.sort((a, b) => b.score - a.score).slice(0, nBestSize);
  if (version2 && none && !kept.some(({ start, end }) => start === 0 && end === 0)) kept.push(none);
  const characters = [...context];
  const candidates = kept.map((span) => ({ ...span, text: characters.slice(span.start!, span.end!).join("") }));
  if (candidates.length === 0 || (candidates.length === 1 && candidates[0]!.text === ""))
    candidates.unshift({ text: "empty", start: null, end: null, start_logit: 0, end_logit: 0, score: 0 });
  const nBest = withProbabilities(candidates);
  if (!version2 || !none) return { answer: nBest[0]!.text, nBest };
  const best = nBest.find(({ text }) => text !== "")!;
  const scoreDiff = none.score - best.start_logit - best.end_logit;
  return { answer: scoreDiff > nullScoreDiffThreshold ? "" : best.text, nBest, scoreDiff };
}

function withProbabilities(candidates: readonly Omit<AnswerCandidate, "probability">[]): AnswerCandidate[] {
  const most = Math.max(...candidates.map(({ score }) => score));
  const powers = candidates.map(({ score }) => Math.exp(score - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return candidates.map((candidate, i) => ({ ...candidate, probability: powers[i]! / total }));
}

/** The places of the largest values, the largest first; of equal ones the first. */
const largest = (values: ArrayLike<number>, count: number): number[] =>
  Array.from(values, (_, i) => i)
    .sort((i, j) => values[j]! - values[i]!)
    .slice(0, count);
