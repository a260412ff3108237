import { AutoModelForSequenceClassification, AutoTokenizer } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { statSync } from "node:fs";
import { classificationReport, loadDataset, loadDatasetDict, progressLine, Trainer } from "@gpugrad/train";
import { Command } from "commander";
import { runCommand } from "../run-command.ts";
import { wholeNumber } from "../texts.ts";

/** `gpugrad evaluate MODEL`: accuracy and a classification report on a labelled dataset. */
export function evaluate(args: string[]): Promise<number> {
  const command = new Command("gpugrad evaluate")
    .description("Accuracy, and precision, recall and F1 by class, on a labelled dataset.")
    .argument("<model>", "a folder or a hub id")
    .option("--dataset <id>", "a hub id, a folder or a file", "stanfordnlp/imdb")
    .option("--split <name>", "the split to evaluate on (default: test, or all of a file)")
    .option("--dataset-config-name <name>", "which configuration of the dataset, where it has several")
    .option("--text-column <name>", "the column that holds the texts (default: found by its usual names)")
    .option("--label-column <name>", "the column that holds the labels (default: found by its usual names)")
    .option("--max-eval-samples <n>", "only the first n rows", wholeNumber(1))
    .option("--per-device-eval-batch-size <n>", "rows at a time", wholeNumber(1), 32)
    .option("--max-length <n>", "tokens per text; longer ones are cut", wholeNumber(1), 256)
    .option("--json", 'print {"accuracy", "loss", "rows", "runtime"} and nothing else')
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
      const line = progressLine();
      const { perDeviceEvalBatchSize, maxLength } = options;
      const trainer = new Trainer({
        model,
        tokenizer,
        args: { perDeviceEvalBatchSize, maxLength },
        callbacks: { onEvalBatch: ({ batch, totalBatches }) => line.update(`batch ${batch}/${totalBatches}`) },
      });
      const { metrics, labels, classes } = await trainer.predict(rows);
      line.done();
      if (!labels) throw new Error(`${all.name}: no labels to compare with.`);
      const { eval_accuracy: accuracy, eval_loss: loss, eval_runtime: runtime } = metrics;
      if (options.json) process.stdout.write(`${JSON.stringify({ accuracy, loss, rows: rows.length, runtime })}\n`);
      else {
        const table = classificationReport(labels, classes, {
          labels: [...names.keys()],
          targetNames: names,
          digits: 4,
        });
        process.stdout.write(`accuracy ${(100 * (accuracy ?? 0)).toFixed(2)} % on ${rows.length} rows\n\n${table}`);
      }
      return 0;
    } finally {
      await destroy();
    }
  });
}
