import { bertTokenizer } from "@gpugrad/bert";
import { expect, test } from "vitest";
import fixture from "../../../test/fixtures/tasks.json" with { type: "json" };
import { AGGREGATION_STRATEGIES, entitiesInText, type TokenWindow } from "./entities-in-text.ts";

const { words, labels, sentence, cases } = fixture.aggregation;
const tokenizer = bertTokenizer(words);
const names = Object.fromEntries(labels.entries());

test.each(cases.flatMap((one, i) => AGGREGATION_STRATEGIES.map((strategy) => [strategy, i + 1, one] as const)))(
  "%s, %d window(s): what Transformers' pipeline finds",
  (strategy, _, { windows, expected }) => {
    const found = entitiesInText(sentence, windows as unknown as TokenWindow[], names, tokenizer, strategy);
    expect(found).toEqual(
      expected[strategy].map((entity) => ({ ...entity, score: expect.closeTo(entity.score, 7) as unknown })),
    );
  },
);

test("an unknown strategy is refused", () => {
  expect(() => entitiesInText("", [], names, tokenizer, "last" as never)).toThrow(/"last"; there are none, simple/);
});
