import { expect, test } from "vitest";
import fixture from "../../test/fixtures/tasks.json" with { type: "json" };
import { entitiesOf, entityF1, entityScores, tagAccuracy, type TagScheme } from "./entities.ts";

test.each(fixture.entities.map((one, i) => [`${one.scheme}, case ${i}`, one] as const))(
  "%s: seqeval's numbers",
  (_, one) => {
    const { truth, guess } = one;
    for (const mode of ["lenient", "strict"] as const) {
      const options = mode === "strict" ? { strict: one.scheme as TagScheme } : {};
      const found = entitiesOf(truth, options).map(({ sentence, type, first, last }) => [sentence, type, first, last]);
      expect(found).toEqual(one[mode].entities);
      for (const average of ["micro", "macro", "weighted"] as const) {
        const { precision, recall, f1 } = entityF1(truth, guess, { ...options, average });
        const want = one[mode][average] ?? [NaN, NaN, NaN]; // the mean over no types
        expect([precision, recall, f1]).toEqual(
          want.map((value) => (Number.isNaN(value) ? NaN : (expect.closeTo(value, 8) as unknown))),
        );
      }
    }
    expect(tagAccuracy(truth, guess)).toBeCloseTo(one.accuracy, 8);
  },
);

test("an I after O starts an entity, and is none where the scheme is followed", () => {
  const tags = [["O", "I-PER", "I-PER"]];
  expect(entitiesOf(tags)).toEqual([{ sentence: 0, type: "PER", first: 1, last: 2 }]);
  expect(entitiesOf(tags, { strict: "IOB2" })).toEqual([]);
});

test("scores by type, also of one that was only guessed", () => {
  const scores = entityScores([["B-PER", "O", "B-PER"]], [["B-PER", "B-LOC", "O"]]);
  expect(scores).toEqual([
    { type: "LOC", support: 0, precision: 0, recall: 0, f1: 0 },
    { type: "PER", support: 2, precision: 1, recall: 0.5, f1: 2 / 3 },
  ]);
});

test("what isn't a tag, and sentences of other lengths, are refused", () => {
  expect(() => entitiesOf([["O", "PER"]])).toThrow('tag 1 of sentence 0 is "PER"');
  expect(() => entityF1([["O"]], [["O", "O"]])).toThrow("the lengths differ");
  expect(() => entitiesOf([], { strict: "IOE2" as never })).toThrow("IOE2");
});
