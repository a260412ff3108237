import { Command } from "commander";
import { normalized, sentenceEmbeddings } from "../text/embedder.ts";
import { textCommand, type Output } from "../text/text-command.ts";

/** `gpugrad embed MODEL [text…]`: a vector per text, made as the folder's sentence-transformers files say; else the mean over its tokens, scaled to length 1. */
export function embed(args: string[]): Promise<number> {
  const command = new Command("gpugrad embed")
    .description(
      "Sentence embeddings of texts: those given, the rows of --file, or the lines of standard input. Pooling, prompt, layers and length are " +
        "those of the folder's sentence-transformers files (modules.json and what it names); without them it is the mean over the tokens, scaled to length 1. " +
        "A text with more tokens than --max-length, or than max_seq_length of sentence_bert_config.json, is cut there.",
    )
    .option("--json", 'a line {"embedding": […]} per text; otherwise the numbers, separated by tabs');
  const task = sentenceEmbeddings();
  const output = ({ json }: { json?: true }): Output => ({
    line(vector) {
      const embedding = task.settings().normalize ? normalized(vector) : Array.from(vector);
      return json ? JSON.stringify({ embedding }) : embedding.join("\t");
    },
    bad: (row) => (json ? JSON.stringify(row) : ""),
  });
  return textCommand(command, args, () => Promise.resolve({ ...task, output }));
}
