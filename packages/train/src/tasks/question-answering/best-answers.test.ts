import { expect, test } from "vitest";
import { bestAnswers } from "./best-answers.ts";

// Two windows over one context, a question of one token before each: [CLS] who [SEP] context [SEP].
const context = "Ada 😀 wrote it";
const [ada, face, wrote, it] = [[0, 3], [4, 5], [6, 11], [12, 14]] as [number, number][]; // prettier-ignore
const windows = [
  { offsets: [undefined, undefined, undefined, ada, face, wrote, undefined], startLogits: [1, 9, 0, 3, 1, 0, 0], endLogits: [2, 9, 0, 1, 2, 0, 0] }, // prettier-ignore
  { offsets: [undefined, undefined, undefined, face, wrote, it, undefined], startLogits: [0, 9, 0, 1, 0, 2, 0], endLogits: [1, 9, 0, 0, 4, 1, 0] }, // prettier-ignore
];

test("the best pair of start and end over all windows; the question is not an answer", () => {
  const { answer, nBest, scoreDiff } = bestAnswers(context, windows);
  expect(answer).toBe("Ada 😀");
  expect(nBest.slice(0, 2)).toEqual([
    { text: "Ada 😀", score: 5, probability: nBest[0]!.probability, start_logit: 3, end_logit: 2, start: 0, end: 5 },
    { text: "😀 wrote", score: 5, probability: nBest[0]!.probability, start_logit: 1, end_logit: 4, start: 4, end: 11 },
  ]);
  expect(nBest.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
  expect(scoreDiff).toBeUndefined();
});

test("answers have a longest length in tokens, and start where their window has the most context", () => {
  expect(bestAnswers(context, windows, { maxAnswerLength: 1 }).answer).toBe("Ada"); // 3 + 1
  const maxContext = [false, false, false, false, true, true, false];
  const other = windows.map((window) => ({ ...window, maxContext }));
  expect(bestAnswers(context, other).nBest.every(({ text }) => !text.startsWith("Ada"))).toBe(true);
});

test("no answer scores as the first token, in the window where that is least", () => {
  const { answer, scoreDiff, nBest } = bestAnswers(context, windows, { version2: true });
  expect([answer, scoreDiff]).toEqual(["Ada 😀", 1 - 5]);
  expect(nBest.some(({ text }) => text === "")).toBe(true);
  expect(bestAnswers(context, windows, { version2: true, nullScoreDiffThreshold: -4.5 }).answer).toBe("");
});

test("nothing that could be an answer", () => {
  const [{ startLogits, endLogits }] = windows as [(typeof windows)[0]];
  const none = [{ startLogits, endLogits, offsets: startLogits.map(() => undefined) }];
  expect(bestAnswers(context, none)).toMatchObject({
    answer: "empty",
    nBest: [{ probability: 1, score: 0, start: null }],
  });
  expect(bestAnswers(context, none, { version2: true })).toMatchObject({ answer: "", scoreDiff: 3 });
});
