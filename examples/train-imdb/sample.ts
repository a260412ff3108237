import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import {
  bagOfWordsBaseline,
  Dataset,
  generateReviews,
  REVIEW_LABELS,
  SAMPLE_RECIPE,
  trainWordPiece,
} from "@gpugrad/train";
import type { Options } from "./options.ts";
import type { Task } from "./task.ts";

/**
 * The embedded default: reviews from a grammar of our own, a vocabulary learned from them, and a small BERT from random weights. It
 * shows that everything works, on any machine and without a download; it is not IMDB, and its accuracy says nothing about IMDB.
 */
export function sampleTask(options: Options): Task {
  const { trainRows, testRows, vocabSize, model: sizes, args: recipe } = SAMPLE_RECIPE;
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
  return {
    title: `The sample: ${train.length} made-up film reviews and a small BERT from random weights. This is not IMDB.`,
    model: BertForSequenceClassification.fromConfig(config),
    tokenizer,
    train: Dataset.fromRows(train, { name: "sample", labelNames }),
    test: Dataset.fromRows(test, { name: "sample", labelNames }),
    recipe,
    texts: [
      "The acting was superb and the story was gripping.",
      "The music was lovely, but the film was a waste of time.",
      "It was not nearly as dull as I feared.",
    ],
    baseline: () => {
      const { accuracy } = bagOfWordsBaseline(train, test);
      return (
        `A bag of words with logistic regression, on the same reviews: ${(100 * accuracy).toFixed(2)} %.\n` +
        "These reviews are made up by a grammar, so that the order of words matters. The numbers say nothing about IMDB."
      );
    },
  };
}
