import { expect, it } from "vitest";
import { scoresOf } from "./scores.ts";

const id2label = { 0: "bad", 1: "fair", 2: "good" };
const config = { problem_type: null, num_labels: 3, id2label };
const logits = [0.25, -1.5, 2];

/** Scores by label, rounded. */
const rounded = (scores: ReturnType<typeof scoresOf>): [string, number][] =>
  scores.map(({ label, score }) => [label, Number(score.toFixed(6))]);

// Expected values by Python's math: exp(x) / Σ exp(x) and 1 / (1 + exp(-x)).
it("takes softmax over classes, the best first", () => {
  expect(rounded(scoresOf(logits, config))).toEqual([
    ["good", 0.830585],
    ["bad", 0.144334],
    ["fair", 0.025081],
  ]);
});

it("takes sigmoid for several labels or one, and nothing for a regression", () => {
  const several = scoresOf(logits, { ...config, problem_type: "multi_label_classification" });
  expect(rounded(several)).toEqual([
    ["good", 0.880797],
    ["bad", 0.562177],
    ["fair", 0.182426],
  ]);
  const one = { num_labels: 1, id2label: { 0: "LABEL_0" } };
  expect(rounded(scoresOf([2], { ...one, problem_type: null }))).toEqual([["LABEL_0", 0.880797]]);
  expect(rounded(scoresOf([2], { ...one, problem_type: "regression" }))).toEqual([["LABEL_0", 2]]);
});

it("does what the option says instead", () => {
  expect(rounded(scoresOf(logits, config, "none"))[0]).toEqual(["good", 2]);
  expect(rounded(scoresOf(logits, config, "sigmoid"))[2]).toEqual(["fair", 0.182426]);
  expect(rounded(scoresOf([2], { ...config, problem_type: "regression" }, "softmax"))).toEqual([["bad", 1]]);
});

it("keeps the order of classes with equal scores, and bears large logits", () => {
  expect(scoresOf([1000, 1000, -1000], config)).toEqual([
    { label: "bad", score: 0.5 },
    { label: "fair", score: 0.5 },
    { label: "good", score: 0 },
  ]);
});
