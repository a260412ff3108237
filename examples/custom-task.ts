/**
 * A task of one's own: what share of the words of a text are kind. Neither classes nor a plain regression: shares lie between 0 and 1, so they
 * are learned with binary cross-entropy, and judged by their mean absolute error.
 *
 *   node scripts/run.mjs examples/custom-task.ts
 */
import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { bceWithLogits, destroy, init, manualSeed, reshape } from "@gpugrad/tensor";
import { Dataset, meanAbsoluteError, Trainer, trainWordPiece, type Task } from "@gpugrad/train";

interface Shares {
  shares: number[];
  labels: number[] | undefined;
}

const kindness: Task<Shares, { share: number; label: number | undefined }> = {
  name: "share-of-kind-words",
  collate(rows, pad) {
    const labels = rows.map(({ label = NaN }) => label);
    const shares = { data: Float32Array.from(labels), shape: [rows.length], dtype: "f32" } as const;
    return { ...pad(rows), ...(!labels.includes(NaN) && { labels: shares }) };
  },
  createLoss: () => ({
    compute: ({ logits }, labels) => bceWithLogits(reshape(logits, labels.shape), labels),
    dependsOn: () => "", // on nothing that changes: updates may be recorded
  }),
  decode: ({ logits }, { arrays }) =>
    Array.from(logits!.data, (logit, i) => ({ share: 1 / (1 + Math.exp(-logit)), label: arrays["labels"]?.data[i] })),
  gather(rows) {
    const labels = rows.flatMap(({ label }) => label ?? []);
    return { shares: rows.map(({ share }) => share), labels: labels.length === rows.length ? labels : undefined };
  },
  metrics: ({ shares, labels }) => ({ mae: meanAbsoluteError(labels, shares) }),
};

const words = ["kind", "warm", "rude", "cold"];
const rows = Array.from({ length: 256 }, (_, i) => {
  const picked = [i, i >> 2, i >> 4, i >> 6].map((k) => k % 4);
  return { text: picked.map((k) => words[k]).join(" "), label: picked.filter((k) => k < 2).length / 4 };
});

await init();
manualSeed(0);
const tokenizer = trainWordPiece(words, { vocabSize: 64, maxLength: 8 });
const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
const config = new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 8, num_labels: 1 });
const model = BertForSequenceClassification.fromConfig(config);
const data = Dataset.fromRows(rows);
const args = { maxSteps: 80, perDeviceTrainBatchSize: 16, learningRate: 1e-2 };
const trainer = new Trainer({ model, task: kindness, tokenizer, trainDataset: data, evalDataset: data, args });
await trainer.train();
const { eval_mae: error } = await trainer.evaluate();
const { shares } = await trainer.predict(Dataset.fromRows([{ text: "kind warm rude warm" }]));
console.log(`mean absolute error ${error!.toFixed(3)}; kind warm rude warm: ${shares[0]!.toFixed(2)}`);
await destroy();
