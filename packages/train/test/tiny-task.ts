import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { manualSeed } from "@gpugrad/tensor";
import { Dataset, type BatchTokenizer, type TrainingArguments } from "@gpugrad/train";

/** One id per letter, so that a text's length is its number of tokens. */
export const tokenizer: BatchTokenizer = {
  modelMaxLength: 16,
  padTokenId: 0,
  encodeBatch: (texts) =>
    texts.map((text) => {
      const ids = Array.from(text, (c) => c.charCodeAt(0) - 96);
      return { input_ids: ids, attention_mask: ids.map(() => 1), token_type_ids: ids.map(() => 0) };
    }),
};

/** 60 texts of four lengths: batches come in several shapes. Class 1 begins with an a or c. */
export const dataset = Dataset.fromRows(
  Array.from({ length: 60 }, (_, i) => ({
    text: "abcdefghij".slice(i % 4, (i % 4) + 4 + ((i * 7) % 4)),
    label: (i + 1) % 2,
  })),
  { name: "letters" },
);

/** The same weights every time; dropout is on, unless given as 0. */
export function tinyModel({ dropout = 0.1, numLabels = 2 } = {}): BertForSequenceClassification {
  manualSeed(1);
  const sizes = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 };
  return BertForSequenceClassification.fromConfig(
    new BertConfig({
      ...sizes,
      ...{ vocab_size: 30, max_position_embeddings: 16, initializer_range: 0.1 },
      ...{ hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout },
      num_labels: numLabels,
    }),
  );
}

/** 40 updates that use what a checkpoint has to keep: shuffling, accumulation, a schedule, the best model, early logs. */
export const args: Partial<TrainingArguments> = {
  maxSteps: 40,
  perDeviceTrainBatchSize: 4,
  gradientAccumulationSteps: 2,
  learningRate: 2e-3,
  lrSchedulerType: "cosine",
  warmupSteps: 5,
  weightDecay: 0.01,
  loggingSteps: 3,
  evalStrategy: "steps",
  evalSteps: 4,
  saveSteps: 2,
  saveTotalLimit: 2,
  metricForBestModel: "loss",
};
