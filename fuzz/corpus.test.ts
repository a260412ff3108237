import { describe, expect, test } from "vitest";
import { corpusOf } from "./corpus.ts";
import { outcomeOf } from "./outcome.ts";
import { targets } from "./targets/index.ts";

describe.each(targets)("$name", (target) => {
  test("reads its valid inputs", async () => {
    for (const seed of target.seeds)
      await target.read(typeof seed === "string" ? new TextEncoder().encode(seed) : seed);
  });
  test("what once failed is read, or refused by an error of the project's own", async () => {
    for (const { file, input } of corpusOf(target.name)) expect(await outcomeOf(target, input), file).toBeUndefined();
  });
});
