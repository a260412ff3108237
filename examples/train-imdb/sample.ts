import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import {
  bagOfWordsBaseline,
  Dataset,
  generateReviews,
  REVIEW_LABELS,
  SAMPLE_RECIPE,
  trainWordPiece,
  type Review,
} from "@gpugrad/train";
import type { Task, TrainOptions } from "gpugrad/train";

/**
 * The embedded default: reviews from a grammar of our own, a vocabulary learned from them, and a small BERT from random weights. It
 * shows that everything works, on any machine and without a download; it is not IMDB, and its accuracy says nothing about IMDB.
 */
export function sampleTask(options: Partial<TrainOptions>): Task {
  const { trainRows, testRows, vocabSize, model: sizes } = SAMPLE_RECIPE;
  const train = generateReviews({ count: options.maxTrainSamples ?? trainRows, seed: 1 });
  const texts = train.map((row) => row.text);
  const test = generateReviews({ count: options.maxEvalSamples ?? testRows, seed: 2, except: texts });
  const tokenizer = trainWordPiece(texts, { vocabSize, maxLength: sizes.max_position_embeddings });
  const labelNames = [...REVIEW_LABELS];
  const dropout = options.dropout ?? sizes.hidden_dropout_prob;
  const config = new BertConfig({
    ...sizes,
    vocab_size: tokenizer.vocabSize,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    id2label: { ...labelNames },
  });
  const datasetOf = (rows: readonly Review[]): Dataset => Dataset.fromRows(rows, { name: "sample", labelNames });
  return {
    title: `The sample: ${train.length} made-up film reviews and a small BERT from random weights. This is not IMDB.`,
    model: BertForSequenceClassification.fromConfig(config),
    tokenizer,
    train: datasetOf(train),
    validation: datasetOf(test),
  };
}

/** What counting words reaches on the same reviews. */
export async function sampleBaseline(train: Dataset, test: Dataset): Promise<string> {
  const { accuracy } = bagOfWordsBaseline(await reviewsOf(train), await reviewsOf(test));
  return (
    `A bag of words with logistic regression, on the same reviews: ${(100 * accuracy).toFixed(2)} %.\n` +
    "These reviews are made up by a grammar, so that the order of words matters. The numbers say nothing about IMDB."
  );
}

async function reviewsOf(rows: Dataset): Promise<Review[]> {
  const reviews: Review[] = [];
  for await (const row of rows) reviews.push(row as Review);
  return reviews;
}
