import { noGrad } from "@gpugrad/autograd";
import { AutoModelForMaskedLM, AutoTokenizer, openFolder } from "@gpugrad/bert";
import { destroy, fromArray, GpugradError, indexSelect, init, reshape, scope } from "@gpugrad/tensor";
import { padTokens, wordGuesses, type WordGuess } from "@gpugrad/train";
import { Command } from "commander";
import { writeError, writeOutput } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { allowMissingWeights, refuseMissing } from "../text/missing-weights.ts";
import { textsOf, wholeNumber } from "../text/texts.ts";

interface Options {
  file?: string;
  topK: number;
  maxLength?: number;
  json?: true;
  allowMissingWeights?: true;
}

/** `gpugrad fill-mask MODEL "A [MASK] text."`: the likeliest words for what is hidden. */
export function fillMask(args: string[]): Promise<number> {
  const command = new Command("gpugrad fill-mask")
    .description(
      "The likeliest words for each [MASK] of texts: those given, the lines of --file, or of standard input. Prints a line for each word: score, word and the " +
        "text with it, with tabs between them.",
    )
    .argument("<model>", "a folder or a hub id")
    .argument("[texts...]")
    .option("--file <file>", "a text per line")
    .option("--top-k <n>", "the best n words of each [MASK]", wholeNumber(1), 5)
    .option(
      "--max-length <n>",
      "tokens per text; longer texts are cut (default: as many as the model takes)",
      wholeNumber(1),
    )
    .option(
      "--json",
      'a line [{"score", "token", "token_str", "sequence"}, …] per text; a list of these where several words are hidden',
    )
    .addOption(allowMissingWeights());
  return runCommand<Options>(command, args, async (options, [id, ...texts]) => {
    const say = (text: string): void => writeError(`${command.name()}: ${text}\n`);
    await init();
    try {
      const folder = await openFolder(id!);
      const tokenizer = await AutoTokenizer.fromPretrained(folder);
      const opened = await AutoModelForMaskedLM.fromPretrained(folder, { dtype: "f32", onReport: say });
      const model = refuseMissing(opened, { allowMissingWeights: options.allowMissingWeights, say });
      const { maskTokenId, maskToken, modelMaxLength } = tokenizer;
      const maxLength = Math.min(model.config.maxLength, modelMaxLength, options.maxLength ?? Infinity);
      if (maskTokenId === undefined) throw new GpugradError(`${id}: its tokenizer has no mask token.`);
      const guess = async (text: string): Promise<WordGuess[][]> => {
        const encoding = tokenizer.encode(text, { truncation: true, maxLength });
        const places = encoding.input_ids.flatMap((token, t) => (token === maskTokenId ? [t] : []));
        if (places.length === 0)
          throw new GpugradError(
            `no ${maskToken} among the ${encoding.length} tokens of ${JSON.stringify(text.slice(0, 60))}.`,
          );
        const { read } = scope(() => {
          const { logits } = noGrad(() => model.forward(padTokens([encoding], tokenizer)));
          const rows = reshape(logits, [-1, logits.shape.at(-1)!]);
          const wanted = indexSelect(rows, 0, fromArray(Int32Array.from(places), [places.length], "i32"));
          return { read: wanted.data() };
        });
        const logits = (await read) as Float32Array;
        const width = logits.length / places.length;
        return places.map((place, i) => {
          const hidden = { ids: encoding.input_ids, place, isOnly: places.length === 1 };
          return wordGuesses(logits.subarray(i * width, (i + 1) * width), hidden, tokenizer, { topK: options.topK });
        });
      };
      for await (const text of textsOf(texts, options.file)) {
        const found = await guess(text);
        if (options.json) await writeOutput(`${JSON.stringify(found.length === 1 ? found[0] : found)}\n`);
        else
          for (const { score, token_str, sequence } of found.flat())
            await writeOutput(`${score.toFixed(4)}\t${token_str}\t${sequence}\n`);
      }
      return 0;
    } finally {
      await destroy();
    }
  });
}
