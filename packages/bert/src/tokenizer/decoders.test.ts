import { expect, test } from "vitest";
import { tokensToString } from "./decoders.ts";

// Expected values: tokenizers 0.23.3, decoders.WordPiece(), ByteLevel(), Metaspace().

test("WordPiece joins marked tokens, except the first, and closes gaps before punctuation", () => {
  const join = tokensToString({ type: "WordPiece", prefix: "##", cleanup: true });
  expect(join(["##na", "##me", "of", ".", "don", "'", "t"])).toBe("##name of. don ' t");
  expect(tokensToString({ type: "WordPiece", prefix: "##", cleanup: false })(["a", "."])).toBe("a .");
});

test("bytes: characters stand for bytes, unless a token has others", () => {
  const join = tokensToString({ type: "ByteLevel" });
  expect(join(["ĠM", "Ã", "¼", "ller"])).toBe(" Müller");
  expect(join([" Müller"])).toBe(" Müller");
  expect(join(["Ã"])).toBe("�");
});

test("Metaspace: the first token's space is dropped", () => {
  const decoder = { type: "Metaspace", replacement: "▁", prepend_scheme: "always" };
  expect(tokensToString(decoder)(["▁New", "▁Yo", "rk"])).toBe("New York");
  expect(tokensToString({ ...decoder, prepend_scheme: "never" })(["▁New"])).toBe(" New");
  expect(tokensToString(null)(["a", "b"])).toBe("a b");
});
