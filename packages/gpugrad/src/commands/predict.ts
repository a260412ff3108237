import { AutoModelForSequenceClassification, type BertConfig } from "@gpugrad/bert";
import { Command } from "commander";
import { textCommand } from "../text-command.ts";

/** `gpugrad predict MODEL [text…]`: the label of each text. */
export function predict(args: string[]): Promise<number> {
  const command = new Command("gpugrad predict")
    .description("Labels texts: those given, or the lines of --file or standard input.")
    .option("--json", 'a line {"label", "score", "logits"} per text');
  return textCommand(command, args, {
    open: (id) => AutoModelForSequenceClassification.fromPretrained(id),
    compute: (model, inputs) => model.forward(inputs).logits,
    line: (logits, text, config, json) => {
      const { label, score } = best(logits, config);
      return json ? JSON.stringify({ label, score, logits }) : `${label}\t${score.toFixed(4)}\t${text}`;
    },
  });
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
