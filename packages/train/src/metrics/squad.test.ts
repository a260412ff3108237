import { expect, test } from "vitest";
import { answerScores, normalizeAnswer, squadV1, squadV2 } from "./squad.ts";

// Expected values follow from the rules of the official script: https://rajpurkar.github.io/SQuAD-explorer/

test("answers without case, ASCII punctuation and articles", () => {
  expect(normalizeAnswer("The  Tower of\tan A-Team!")).toBe("tower of ateam");
  expect(normalizeAnswer("“a” “quoted” thé then")).toBe("“ ” “quoted” thé then"); // other punctuation stays
});

test("F1 counts words as often as both have them", () => {
  expect(answerScores({ prediction: "the red red door", answers: ["red door", "blue"] })).toEqual({
    exact: 0,
    f1: 0.8,
  });
  expect(answerScores({ prediction: "A", answers: ["the"] })).toEqual({ exact: 1, f1: 0 });
  expect(answerScores({ prediction: "A", answers: ["the"] }, 2)).toEqual({ exact: 1, f1: 1 });
  expect(answerScores({ prediction: "", answers: [] }, 2)).toEqual({ exact: 1, f1: 1 });
  expect(answerScores({ prediction: "red", answers: [] }, 2)).toEqual({ exact: 0, f1: 0 });
});

test("totals in percent", () => {
  const questions = [
    { prediction: "the red red door", answers: ["red door"] },
    { prediction: "Paris", answers: ["paris."] },
  ];
  expect(squadV1(questions)).toEqual({ exact_match: 50, f1: 90 });
});

test("version 2: with and without an answer, and the best threshold", () => {
  const questions = [
    { prediction: "paris", answers: ["Paris"], noAnswerProbability: 0.1 },
    { prediction: "rome", answers: [], noAnswerProbability: 0.4 },
    { prediction: "old oslo", answers: ["oslo"], noAnswerProbability: 0.3 },
    { prediction: "", answers: [], noAnswerProbability: 0.9 },
  ];
  const close = (value: number): unknown => expect.closeTo(value, 12);
  expect(squadV2(questions)).toEqual({
    ...{ exact: 50, f1: close(200 / 3), total: 4 },
    ...{ HasAns_exact: 50, HasAns_f1: close(250 / 3), HasAns_total: 2, NoAns_exact: 50, NoAns_f1: 50, NoAns_total: 2 },
    // Up to 0.1, or 0.3, questions are answered; rome is not.
    ...{ best_exact: 75, best_exact_thresh: 0.1, best_f1: close((100 * (3 + 2 / 3)) / 4), best_f1_thresh: 0.3 },
  });
  expect(squadV2(questions, { noAnswerThreshold: 0.3 })).toMatchObject({ exact: 75, NoAns_exact: 100 });
});
