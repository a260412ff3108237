import { AutoModelForMaskedLM, type Heads, type Tokenizer } from "@gpugrad/bert";
import { concat, fromArray, indexSelect, reshape, scope } from "@gpugrad/tensor";
import { shiftsOf, wordGuesses, type Arrays, type WordGuess } from "@gpugrad/train";
import { setImmediate } from "node:timers/promises";
import { loading, refuseMissing } from "../../text/missing-weights.ts";
import { invalid, readBody, readCount, readList, readParameters, readText, readTexts } from "../request.ts";
import type { Service } from "../service.ts";

/**
 * The likeliest words for what is hidden in texts: `{"inputs": "… [MASK] …", "parameters": {"top_k", "targets"}}`. A text with several hidden words has
 * a list for each of them.
 * @see https://huggingface.co/docs/inference-providers/tasks/fill-mask
 */
export const fillMask: Service<Heads["maskedLM"]> = {
  name: "fill-mask",
  task: {
    open: async (folder, options) =>
      refuseMissing(await AutoModelForMaskedLM.fromPretrained(folder, loading(options)), options),
    // Text by text: the logits of all words at all tokens of a batch would take gigabytes.
    compute(model, inputs, batch) {
      const T = inputs.input_ids.shape[1]!;
      const shifts = shiftsOf(inputs);
      const rows = batch.map(({ place = 0 }, b) =>
        scope(() => {
          const { logits } = model.forward(rowOf(inputs, b, T));
          return indexSelect(reshape(logits, [T, -1]), 0, fromArray(Int32Array.of(shifts[b]! + place), [1], "i32"));
        }),
      );
      return concat(rows, { dim: 0 });
    },
  },
  modelType: ({ tokenizer }) => ({ "fill-mask": { mask_token: tokenizer.maskToken } }),
  routes({ model, maxTexts, compute }) {
    const { tokenizer } = model;
    return {
      "/": async (body, gone) => {
        const { inputs, parameters } = readBody(body);
        const { items: texts, isList } = readList(inputs, maxTexts, readText);
        const given = readParameters(parameters, ["top_k", "targets"]);
        const topK = readCount(given["top_k"], "parameters.top_k", 1, "the best five words are given") ?? 5;
        const targets = readTexts(given["targets"], "parameters.targets")?.map((word, i) => targetOf(word, i, tokenizer)); // prettier-ignore
        const encode = async () => {
          const encodings = await model.encodings(texts.map((text) => ({ text }))); // prettier-ignore
          return encodings.flatMap(({ input_ids, token_type_ids }, sample) => {
            const places = input_ids.flatMap((id, t) => (id === tokenizer.maskTokenId ? [t] : []));
            if (places.length === 0)
              throw invalid(`inputs${isList ? `[${sample}]` : ""}: there is no ${tokenizer.maskToken} among its ${input_ids.length} tokens.`); // prettier-ignore
            return places.map((place) => ({ input_ids, token_type_ids, sample, place, isOnly: places.length === 1 }));
          });
        };
        const { encoded, values } = await compute(texts.length, encode, gone);
        const guesses: WordGuess[][][] = texts.map(() => []);
        for (const [i, { input_ids: ids, place, isOnly, sample }] of encoded.entries()) {
          guesses[sample]!.push(wordGuesses(values[i]!, { ids, place, isOnly }, tokenizer, { topK, targets }));
          await setImmediate(); // a vocabulary takes a while to sort: other requests are not to wait for all of them
        }
        const found = guesses.map((own) => (own.length === 1 ? own[0] : own));
        return isList ? found : found[0];
      },
    };
  },
};

/** One row of a batch. */
const rowOf = (inputs: Arrays, b: number, T: number): Arrays =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { data, dtype }]) => [
      name,
      { data: data.subarray(b * T, (b + 1) * T), shape: [1, T], dtype },
    ]),
  ) as unknown as Arrays;

/** A word as a token: the first one of it, where it has several. */
function targetOf(word: string, i: number, tokenizer: Tokenizer): number {
  const id =
    tokenizer.tokenToId(word) ?? tokenizer.encode(word, { addSpecialTokens: false, maxLength: 1 }).input_ids[0];
  if (id === undefined) throw invalid(`parameters.targets[${i}] has no tokens.`);
  return id;
}
