import { noGrad } from "@gpugrad/autograd";
import { AutoTokenizer, type BertConfig, type ModelInputs } from "@gpugrad/bert";
import { destroy, init, scope, type Tensor } from "@gpugrad/tensor";
import type { Command } from "commander";
import { encodeTexts } from "./inputs.ts";
import { runCommand } from "./run-command.ts";
import { batchesOf, textsOf, wholeNumber } from "./texts.ts";

/** What a command does with a model and a batch of texts. */
interface TextModel<M extends { readonly config: BertConfig }> {
  open: (idOrFolder: string) => Promise<M>;
  /** A row of numbers for each text, [B, …]. */
  compute: (model: M, inputs: ModelInputs) => Tensor;
  /** The line to print for a text and its row. */
  line: (row: number[], text: string, config: BertConfig, json: boolean) => string;
}

/**
 * A command that runs a model over texts, those given or the lines of a file or of standard input, and prints a line for each, in
 * their order, as soon as its batch is done.
 */
export function textCommand<M extends { readonly config: BertConfig }>(
  command: Command,
  args: string[],
  { open, compute, line }: TextModel<M>,
): Promise<number> {
  command
    .argument("<model>", "a folder or a hub id")
    .argument("[texts...]")
    .option("--file <file>", "a text per line")
    .option("--batch-size <n>", "texts at a time", wholeNumber(1), 16)
    .option("--max-length <n>", "tokens per text; longer ones are cut", wholeNumber(1));
  return runCommand<{ file?: string; batchSize: number; maxLength?: number; json?: true }>(
    command,
    args,
    async (options, [id, ...operands]) => {
      await init();
      try {
        const tokenizer = await AutoTokenizer.fromPretrained(id!);
        const model = await open(id!);
        const limit = Math.min(model.config.max_position_embeddings, tokenizer.modelMaxLength);
        const maxLength = Math.min(limit, options.maxLength ?? limit);
        for await (const texts of batchesOf(textsOf(operands, options.file), options.batchSize)) {
          const inputs = encodeTexts(tokenizer, texts, maxLength);
          const { read } = scope(() => ({ read: noGrad(() => compute(model, inputs)).data() }));
          const values = await read;
          const width = values.length / texts.length;
          for (const [i, text] of texts.entries()) {
            const row = Array.from(values.subarray(i * width, (i + 1) * width));
            process.stdout.write(`${line(row, text, model.config, options.json === true)}\n`);
          }
        }
        return 0;
      } finally {
        await destroy();
      }
    },
  );
}
