import { noGrad } from "@gpugrad/autograd";
import { AutoModelForSequenceClassification, AutoTokenizer, type BertConfig } from "@gpugrad/bert";
import { destroy, init, scope } from "@gpugrad/tensor";
import { Command } from "commander";
import { encodeTexts } from "../inputs.ts";
import { runCommand } from "../run-command.ts";
import { batchesOf, textsOf, wholeNumber } from "../texts.ts";

/** `gpugrad predict MODEL [text…]`: the label of each text, in the order of the texts, as soon as its batch is done. */
export function predict(args: string[]): Promise<number> {
  const command = new Command("gpugrad predict")
    .description("Labels texts: those given, or the lines of --file or standard input.")
    .argument("<model>", "a folder or a hub id")
    .argument("[texts...]")
    .option("--file <file>", "a text per line")
    .option("--batch-size <n>", "texts at a time", wholeNumber(1), 16)
    .option("--max-length <n>", "tokens per text; longer ones are cut", wholeNumber(1))
    .option("--json", 'a line {"label", "score", "logits"} per text');
  return runCommand<{ file?: string; batchSize: number; maxLength?: number; json?: true }>(
    command,
    args,
    async (options, [id, ...operands]) => {
      await init();
      try {
        const tokenizer = await AutoTokenizer.fromPretrained(id!);
        const model = await AutoModelForSequenceClassification.fromPretrained(id!);
        const limit = Math.min(model.config.max_position_embeddings, tokenizer.modelMaxLength);
        const maxLength = Math.min(limit, options.maxLength ?? limit);
        for await (const texts of batchesOf(textsOf(operands, options.file), options.batchSize)) {
          const inputs = encodeTexts(tokenizer, texts, maxLength);
          const { read } = scope(() => ({ read: noGrad(() => model.forward(inputs)).logits.data() }));
          const values = await read;
          const labels = model.config.num_labels;
          for (const [i, text] of texts.entries()) {
            const logits = Array.from(values.subarray(i * labels, (i + 1) * labels));
            const { label, score } = best(logits, model.config);
            const line = options.json
              ? JSON.stringify({ label, score, logits })
              : `${label}\t${score.toFixed(4)}\t${text}`;
            process.stdout.write(`${line}\n`);
          }
        }
        return 0;
      } finally {
        await destroy();
      }
    },
  );
}

/**
 * The best label and its score, by the rule of Transformers' text-classification pipeline: softmax over classes; sigmoid for
 * several labels, or one; the number itself for a regression.
 */
function best(logits: readonly number[], { problem_type, id2label }: BertConfig): { label: string; score: number } {
  const top = logits.indexOf(Math.max(...logits));
  const label = id2label[top]!;
  if (problem_type === "regression") return { label, score: logits[top]! };
  if (problem_type === "multi_label_classification" || logits.length === 1)
    return { label, score: 1 / (1 + Math.exp(-logits[top]!)) };
  return { label, score: 1 / logits.reduce((sum, x) => sum + Math.exp(x - logits[top]!), 0) };
}
