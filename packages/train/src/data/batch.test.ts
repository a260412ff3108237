import { bertTokenizer } from "@gpugrad/bert";
import { expect, test } from "vitest";
import { encodeRows, lengthsOf, padTokens } from "./batch.ts";

const vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "##w"];

test.each([
  ["right", [2, 5, 3, 0, 0, 2, 5, 6, 6, 3], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]],
  ["left", [0, 0, 2, 5, 3, 2, 5, 6, 6, 3], [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]],
])("rows of a batch are padded on the %s, where the tokenizer pads", (padding_side, ids, mask) => {
  const tokenizer = bertTokenizer(vocab, { do_lower_case: true, padding_side });
  const inputs = padTokens(encodeRows(tokenizer, [{ text: "w" }, { text: "www" }], 8), tokenizer);
  expect(inputs.input_ids).toEqual({ data: Int32Array.from(ids), shape: [2, 5], dtype: "i32" });
  expect(inputs["attention_mask"]).toEqual({ data: Int32Array.from(mask), shape: [2, 5], dtype: "i32" });
  expect(lengthsOf(inputs)).toEqual([3, 5]);
});

test("a row keeps what it has beside its texts", () => {
  const [row] = encodeRows(bertTokenizer(vocab, {}), [{ text: "w", text_pair: "ww", label: 1 }], 8);
  expect(row).toEqual({ input_ids: [2, 5, 3, 5, 6, 3], token_type_ids: [0, 0, 0, 1, 1, 1], label: 1 });
});
