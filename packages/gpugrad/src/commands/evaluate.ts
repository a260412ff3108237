import { AutoModelForSequenceClassification, AutoTokenizer } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { statSync } from "node:fs";
import { loadDataset, loadDatasetDict, ProgressCallback, Trainer } from "@gpugrad/train";
import { Command } from "commander";
import { runCommand } from "../run-command.ts";
import { metricsReport, plainMetrics } from "../train/report.ts";
import { wholeNumber } from "../texts.ts";

/** `gpugrad evaluate MODEL`: metrics on a labelled dataset, and a classification report or, of a regression, correlations and errors. */
export function evaluate(args: string[]): Promise<number> {
  const command = new Command("gpugrad evaluate")
    .description(
      "Accuracy, precision, recall and F1 by class, and more, on a labelled dataset; of a regression, errors and correlations.",
    )
    .argument("<model>", "a folder or a hub id")
    .option("--dataset <id>", "a hub id, a folder or a file", "stanfordnlp/imdb")
    .option("--split <name>", "the split to evaluate on (default: test, or all of a file)")
    .option("--dataset-config-name <name>", "which configuration of the dataset, where it has several")
    .option("--text-column <name>", "the column that holds the texts (default: found by its usual names)")
    .option("--label-column <name>", "the column that holds the labels (default: found by its usual names)")
    .option("--max-eval-samples <n>", "only the first n rows", wholeNumber(1))
    .option("--per-device-eval-batch-size <n>", "rows at a time", wholeNumber(1), 32)
    .option("--max-length <n>", "tokens per text; longer ones are cut", wholeNumber(1), 256)
    .option("--json", "print one JSON object with all metrics, and nothing else")
    .allowExcessArguments(false);
  return runCommand<{
    dataset: string;
    split?: string;
    datasetConfigName?: string;
    textColumn?: string;
    labelColumn?: string;
    maxEvalSamples?: number;
    perDeviceEvalBatchSize: number;
    maxLength: number;
    json?: true;
  }>(command, args, async (options, [id]) => {
    await init();
    try {
      const tokenizer = await AutoTokenizer.fromPretrained(id!);
      const model = await AutoModelForSequenceClassification.fromPretrained(id!, { dtype: "f32" });
      const names = Object.values(model.config.id2label);
      const { dataset, datasetConfigName: name, textColumn, labelColumn } = options;
      const columns = { ...(name && { name }), ...(textColumn && { textColumn }), ...(labelColumn && { labelColumn }) };
      const isFile = options.split === undefined && statSync(dataset, { throwIfNoEntry: false })?.isFile();
      const all = isFile
        ? Object.values(await loadDatasetDict(dataset, { ...columns, labelNames: names }))[0]!
        : await loadDataset(dataset, { ...columns, split: options.split ?? "test", labelNames: names });
      if (all.length === 0) throw new Error(`${all.name}: no rows to evaluate on.`);
      const rows = options.maxEvalSamples === undefined ? all : all.take(options.maxEvalSamples);
      const { perDeviceEvalBatchSize, maxLength } = options;
      const progress = new ProgressCallback({ quiet: options.json === true });
      const trainer = new Trainer({
        ...{ model, tokenizer, callbacks: [progress] },
        args: { perDeviceEvalBatchSize, maxLength },
      });
      const prediction = await trainer.predict(rows, { metricKeyPrefix: "eval" });
      progress.done();
      if (!prediction.labels) throw new Error(`${all.name}: no labels to compare with.`);
      if (options.json) {
        const { runtime, ...metrics } = plainMetrics(prediction.metrics);
        process.stdout.write(`${JSON.stringify({ ...metrics, rows: rows.length, runtime })}\n`);
      } else process.stdout.write(metricsReport(prediction, names, "rows"));
      return 0;
    } finally {
      await destroy();
    }
  });
}
