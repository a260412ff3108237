import type { Json } from "@gpugrad/nn";
import { AlignedText } from "../aligned-text.ts";
import { normalizerOf } from "../normalizers/index.ts";
import { stageOf } from "../pipeline.ts";
import { preTokenizerOf } from "../pre-tokenizers/index.ts";
import { TimeBudget } from "../regular-expression.ts";

/** How often each word occurs in texts, as the normalizer and the pre-tokenizer of a tokenizer.json find words. */
export async function countWords(
  texts: Iterable<string> | AsyncIterable<string>,
  json: Json,
): Promise<Map<string, number>> {
  const normalizer = stageOf(json["normalizer"], "normalizer", normalizerOf);
  const preTokenizer = stageOf(json["pre_tokenizer"], "pre_tokenizer", preTokenizerOf);
  const counts = new Map<string, number>();
  for await (const text of texts) {
    if (text === "") continue;
    const context = { isFirst: true, isLast: true, budget: new TimeBudget(text.length) };
    const normal = normalizer.run(new AlignedText(text, 0), context);
    const { text: aligned, bounds } = preTokenizer.run({ text: normal, bounds: [0, normal.text.length] }, context);
    for (let i = 0; i < bounds.length; i += 2) {
      const word = aligned.text.slice(bounds[i], bounds[i + 1]);
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return counts;
}
