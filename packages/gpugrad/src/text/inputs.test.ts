import { bertTokenizer } from "@gpugrad/bert";
import { expect, test } from "vitest";
import { encodeRows, padBatch } from "./inputs.ts";

const vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "##w"];

test.each([
  ["right", [2, 5, 3, 0, 0, 2, 5, 6, 6, 3], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]],
  ["left", [0, 0, 2, 5, 3, 2, 5, 6, 6, 3], [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]],
])("rows of a batch are padded on the %s, where the tokenizer pads", (padding_side, ids, mask) => {
  const tokenizer = bertTokenizer(vocab, { do_lower_case: true, padding_side });
  const inputs = padBatch(tokenizer, encodeRows(tokenizer, [{ text: "w" }, { text: "www" }], 8));
  expect(inputs.input_ids).toEqual({ data: Int32Array.from(ids), shape: [2, 5] });
  expect(inputs.attention_mask).toEqual({ data: Int32Array.from(mask), shape: [2, 5] });
});
