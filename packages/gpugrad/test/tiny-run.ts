import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";

const WORDS = ["good", "fine", "great", "bad", "poor", "awful", "film", "plot", "the", "a", "is", "was", "very", "not"];

/** Writes a tiny model with its vocabulary, and 100 rows to train it on, into a folder. @returns options that train it */
export async function tinyRun(folder: string): Promise<string[]> {
  await init();
  manualSeed(1);
  const sizes = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64 };
  const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...WORDS];
  const config = { ...sizes, vocab_size: vocabulary.length, max_position_embeddings: 24, num_labels: 2 };
  await BertForSequenceClassification.fromConfig(new BertConfig(config)).savePretrained(folder);
  await destroy();
  await writeFile(join(folder, "vocab.txt"), vocabulary.join("\n"));
  const rows = Array.from({ length: 100 }, (_, i) => {
    const length = 2 + ((7 * i) % 9);
    const words = Array.from({ length }, (_, k) => WORDS[(i * i + 3 * k * i + k) % WORDS.length]);
    return `${words.join(" ")} ${i % 2 ? "good" : "bad"},${i % 2}`;
  });
  const file = join(folder, "rows.csv");
  await writeFile(file, ["text,label", ...rows, ""].join("\n"));
  return [
    ...["--model", folder, "--train_file", file, "--validation_file", file],
    ...["--report_to", "none", "--logging_steps", "2", "--learning_rate", "1e-3", "--seed", "1"],
  ];
}
