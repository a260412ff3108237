/**
 * Fine-tunes BERT on film reviews, without Python.
 *
 *   pnpm train:imdb             bert-base-uncased on stanfordnlp/imdb, three epochs (wants a GPU)
 *   pnpm train:imdb --sample    a small model on made-up reviews: no download, a minute on any machine
 *   pnpm train:imdb --help      all options
 *
 * It is `gpugrad train` with a recipe. What happens then, in the words of the library:
 *
 *   const { train, test } = await loadDatasetDict("stanfordnlp/imdb");
 *   const tokenizer = await AutoTokenizer.fromPretrained("google-bert/bert-base-uncased");
 *   const model = await AutoModelForSequenceClassification.fromPretrained("google-bert/bert-base-uncased", { dtype: "f32" });
 *   const trainer = new Trainer({ model, tokenizer, trainDataset: train, evalDataset: test, args: recipe });
 *   await trainer.train();
 *   await trainer.evaluate();
 *   await trainer.saveModel("output/imdb");
 *
 * Results go to stdout, progress and notes to stderr; with --json, stdout is one JSON object per line.
 */
import { SAMPLE_RECIPE } from "@gpugrad/train";
import { Option } from "commander";
import { trainCommand } from "gpugrad/train";
import { sampleBaseline, sampleTask } from "./train-imdb/sample.ts";

/**
 * The recipe: AdamW with PyTorch's own weight decay on every parameter, cosine without warm-up, clipping at 1.
 * https://huggingface.co/docs/transformers/training is where most people meet it.
 */
const recipe = {
  model: "google-bert/bert-base-uncased",
  dataset: "stanfordnlp/imdb",
  outputDir: "output/imdb",
  maxLength: 256,
  padding: "max_length",
  perDeviceTrainBatchSize: 16,
  perDeviceEvalBatchSize: 32,
  numTrainEpochs: 3,
  learningRate: 5e-5,
  lrSchedulerType: "cosine",
  weightDecay: 0.01,
  noDecayGroups: false,
  maxGradNorm: 1,
  loggingSteps: 50,
  saveTotalLimit: 2,
  reportTo: ["html", "jsonl"],
} as const;

/** Seventeen seconds of training need no checkpoints, so that it can be started again and again. */
const sample = { ...SAMPLE_RECIPE.args, outputDir: "output/sample", saveStrategy: "no", reportTo: ["html"] } as const;

process.exitCode = await trainCommand<{ sample: boolean }>(process.argv.slice(2), {
  name: "train:imdb",
  description: "Fine-tunes BERT for sentiment on IMDB.",
  unit: "reviews",
  addOptions: (command) =>
    void command.addOption(
      new Option("--sample", "a small model on made-up reviews: no download").conflicts(["model", "dataset"]),
    ),
  bringsTask: (options) => options["sample"] === true,
  defaults: (options) => (options["sample"] ? sample : recipe),
  makeTask: ({ options }) => (options.sample ? sampleTask(options) : undefined),
  texts: (options) =>
    options.sample
      ? [
          "The acting was superb and the story was gripping.",
          "The music was lovely, but the film was a waste of time.",
          "It was not nearly as dull as I feared.",
        ]
      : [
          "A quiet, beautifully acted film that stays with you for days.",
          "Two hours of my life that I would like to have back.",
          "Not the disaster that the critics promised, but hardly worth the ticket.",
        ],
  epilogue: ({ train, validation }, options) => (options.sample ? sampleBaseline(train, validation) : undefined),
});
