import type { Tokenizer } from "@gpugrad/bert";
import { argmax, GpugradError, reshape, type Tensor } from "@gpugrad/tensor";
import type { NamedArray } from "../../data/batch.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { maskedLM, type MaskedLMOptions, type WordGuesses } from "../masked-lm/masked-lm.ts";
import type { Task, TrainableModel } from "../task.ts";
import type { PairKind } from "./pair-sentences.ts";

/** What models with both heads call the labels of pairs and the scores, and what metrics are called. */
const HEADS: Readonly<Record<PairKind, { labels: string; logits: string; prefix: string }>> = {
  "next-sentence": { labels: "next_sentence_label", logits: "seq_relationship_logits", prefix: "nsp" },
  "sentence-order": { labels: "sentence_order_label", logits: "sop_logits", prefix: "sop" },
};

/** What a row gives: hidden words, and whether the pair was recognised. */
export interface PairPrediction {
  hidden: number;
  guessed: number;
  /** The loss of the words, summed; and that of the pair. */
  wordLoss: number;
  pairLoss: number;
  isRight: boolean;
}

/** How many hidden words were guessed, and how many pairs recognised. */
export interface PreTrainingPredictions extends WordGuesses {
  rows: readonly PairPrediction[];
}

/** Which pairs a model is first trained on. @throws {@link GpugradError} for a model without a head for pairs */
export function pairKindOf(model: TrainableModel): PairKind {
  const { architecture = "" } = model.constructor as { architecture?: string };
  if (architecture === "BertForPreTraining") return "next-sentence";
  if (architecture === "AlbertForPreTraining") return "sentence-order";
  throw new GpugradError(
    `pretraining: ${architecture || model.constructor.name} has no head for pairs of texts; models of bert and albert have one. ` +
      "Train it on hidden words alone: --task masked-lm.",
  );
}

/**
 * What BERT and ALBERT were first trained on: words are hidden as in {@link maskedLM}, and the model says of two texts whether the second one follows the
 * first, or whether they are in their order. Rows come from `pairSentences`.
 *
 * @see Devlin et al., BERT, 2018. https://arxiv.org/abs/1810.04805
 * @see Lan et al., ALBERT, 2019. https://arxiv.org/abs/1909.11942
 */
export function preTraining(
  tokenizer: Pick<Tokenizer, "maskTokenId" | "vocabSize">,
  { pairs, ...masking }: MaskedLMOptions & { pairs: PairKind },
): Task<PreTrainingPredictions, PairPrediction> {
  const words = maskedLM(tokenizer, masking);
  const { labels, logits, prefix } = HEADS[pairs];
  return {
    name: "pretraining",
    labelNames: ["labels", labels],
    encode: (rows, own, maxLength) => words.encode!(rows, own, maxLength),
    collate: (rows, pad, place) => ({
      ...words.collate(rows, pad, place),
      [labels]: { data: Int32Array.from(rows, (row) => row.label!), shape: [rows.length], dtype: "i32" },
    }),
    example: (length) => ({ ...words.example!(length), label: 0 }),
    problemWith: (args) => words.problemWith!(args),
    read: ({ [logits]: scores, prediction_logits, loss }) => ({
      predicted: argmax(prediction_logits as Tensor, { dim: 2 }),
      scores: scores as Tensor,
      loss: reshape(loss!, [1]),
    }),
    decode(read, batch) {
      const guesses = words.decode(read, batch);
      const pairLosses = pairLossesOf(read["scores"]!.data, batch.arrays[labels]!);
      const mean = pairLosses.reduce((sum, loss) => sum + loss, 0) / pairLosses.length;
      const wordMean = read["loss"]!.data[0]! - mean; // the model's loss is the sum of both
      return guesses.map(({ hidden, guessed }, b) => {
        const pairLoss = pairLosses[b]!;
        return { hidden, guessed, wordLoss: hidden * wordMean, pairLoss, isRight: pairLoss < Math.LN2 };
      });
    },
    gather: (rows) => ({ ...words.gather(rows), rows }),
    metrics({ rows }) {
      const sum = (of: (row: PairPrediction) => number): number => rows.reduce((total, row) => total + of(row), 0);
      const hidden = sum((row) => row.hidden);
      const wordLoss = sum((row) => row.wordLoss) / hidden;
      return {
        mlm_loss: wordLoss,
        perplexity: Math.exp(wordLoss),
        mlm_accuracy: sum((row) => row.guessed) / hidden,
        [`${prefix}_loss`]: sum((row) => row.pairLoss) / rows.length,
        [`${prefix}_accuracy`]: sum((row) => Number(row.isRight)) / rows.length,
      };
    },
    metricNames: ["loss", "mlm_loss", "perplexity", "mlm_accuracy", `${prefix}_loss`, `${prefix}_accuracy`],
    findings: ({ rows }) => Promise.resolve({ rows: rows.length, nonFinite: 0, mistakes: [], wrong: 0 }),
    summary({ metrics, rows }, unit) {
      const { runtime: _, ...plain } = plainMetrics(metrics);
      const accuracy = (100 * plain[`${prefix}_accuracy`]!).toFixed(2);
      return `perplexity ${plain["perplexity"]!.toFixed(2)}, ${accuracy} % of the pairs right, on ${rows.length} ${unit}\n\n${metricsTable(plain)}`;
    },
    output: `a score for each word, and for pairs: ${pairs.replace("-", " ")}`,
    card: {
      ...{ tag: "fill-mask", name: "Pre-training" },
      usage: (repository) =>
        `from transformers import AutoModelForPreTraining\n\nmodel = AutoModelForPreTraining.from_pretrained(${JSON.stringify(repository)})`,
    },
  };
}

/** The cross-entropy of each pair, from scores [B, 2]. */
function pairLossesOf(scores: ArrayLike<number>, { data: labels }: NamedArray): number[] {
  return Array.from(labels, (label, b) => {
    const margin = scores[2 * b + 1 - label]! - scores[2 * b + label]!; // of the wrong one above the right one
    return Math.max(margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));
  });
}
