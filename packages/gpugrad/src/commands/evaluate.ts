import { openFolder } from "@gpugrad/bert";
import { destroy, GpugradError, init } from "@gpugrad/tensor";
import { statSync } from "node:fs";
import {
  openTables,
  plainMetrics,
  ProgressCallback,
  taskFor,
  textWindows,
  Trainer,
  windowedTask,
  type Dataset,
  type Found,
  type Predictions,
  type Task,
  type TrainableModel,
} from "@gpugrad/train";
import { Command } from "commander";
import { allowMissingWeights, dtypeOption, loading, refuseMissing, type WeightDtype } from "../text/missing-weights.ts";
import { writeOutput } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { isFinite } from "../text/finite.ts";
import { openClassifier } from "../text/text-model.ts";
import { summaryOf } from "../train/summary.ts";
import { addDataOptions, badRowsNote, cleaned, loadOptionsOf, picked } from "../train/data-options.ts";
import { openSplit } from "../train/open-data.ts";
import { kindOfModel, type TaskKind, type TaskOptions } from "../train/kinds.ts";
import { wholeNumber } from "../text/texts.ts";
import { openTokenizer, truncationOption, type TruncationOptions } from "../text/truncation.ts";
import { checkStride, windowPoolingOption, windowsFrom, type WindowFlags } from "../text/windows.ts";
import { addTaskOptions } from "../train/task-options.ts";

interface Options extends TaskOptions, TruncationOptions, Omit<WindowFlags, "stride"> {
  dataset: string;
  split?: string;
  maxEvalSamples?: number;
  seed: number;
  perDeviceEvalBatchSize: number;
  maxLength?: number;
  dtype?: WeightDtype;
  allowMissingWeights?: true;
  json?: true;
}

/** `gpugrad evaluate MODEL`: metrics on a labelled dataset, and a classification report or, of a regression, correlations and errors. */
export function evaluate(args: string[]): Promise<number> {
  const command = new Command("gpugrad evaluate")
    .description(
      "Accuracy, precision, recall and F1 by class, and more, on a labelled dataset; of a regression, errors and correlations. " +
        "precision, recall and f1 without a class are macro averages. With --stride, long texts are classified in windows, too. Where the model's numbers are NaN or infinite, so are the " +
        "metrics (with --json null), and the exit code is 1.",
    )
    .argument("<model>", "a folder or a hub id")
    .option("--dataset <id>", "a hub id, a folder or a file", "stanfordnlp/imdb")
    .option("--split <name>", "the split to evaluate on (default: test, or all of a file)");
  addDataOptions(command)
    .option("--max-eval-samples <n>", "only n rows, picked by the seed as `gpugrad train` picks them", wholeNumber(1))
    .option("--seed <n>", "which rows --max-eval-samples picks", wholeNumber(0), 42)
    .option("--per-device-eval-batch-size <n>", "rows at a time", wholeNumber(1), 32)
    .option(
      "--max-length <n>",
      "tokens per text; longer ones are cut (default: as many as the model takes, BERT 512)",
      wholeNumber(1),
    )
    .addOption(truncationOption())
    .addOption(dtypeOption())
    .addOption(allowMissingWeights());
  command
    .addOption(windowPoolingOption())
    .option("--json", "print one JSON object with all metrics, and nothing else")
    .allowExcessArguments(false);
  addTaskOptions(command);
  return runCommand<Options>(command, args, async (options, [id]) => {
    const progress = new ProgressCallback({ quiet: options.json === true });
    const say = (text: string): void => progress.print(`${command.name()}: ${text}`);
    await init();
    try {
      const folder = await openFolder(id!);
      const tokenizer = await openTokenizer(folder, options);
      const kind = await kindOfModel(folder);
      const load = { dtype: options.dtype ?? "float32", allowMissingWeights: options.allowMissingWeights, say };
      const model: TrainableModel = kind
        ? refuseMissing(await kind.Auto.fromPretrained(folder, loading(load)), load, {
            head: kind.suffix,
            ...(kind.unused && { unused: kind.unused }),
          })
        : await openClassifier(folder, load);
      const names = Object.values(model.config.id2label);
      const all = kind ? await openKindRows(options, kind, names) : await openSplit(options, "test", names);
      if (all.length === 0) throw new GpugradError(`${all.name}: no rows to evaluate on.`);
      const read = cleaned(picked(all, options.maxEvalSamples, options.seed), options);
      const { perDeviceEvalBatchSize, maxLength = kind?.maxLength ?? Infinity } = options;
      const longest = Math.min(model.config.maxLength, tokenizer.modelMaxLength, maxLength);
      const setting = { options, seed: options.seed, maxLength: longest };
      const { docStride: stride, windowPooling } = options;
      if (stride !== undefined && kind && kind.name !== "question-answering") throw new GpugradError(`evaluate: --stride is for models that classify texts or answer questions, not for ${kind.name}.`); // prettier-ignore
      const windows = kind ? undefined : windowsFrom({ stride, windowPooling });
      if (windows) checkStride(windows, longest, tokenizer);
      const task: Task<Found> | undefined = windows
        ? windowedTask(taskFor(model, read), windows.pooling)
        : await kind?.task(model, tokenizer, setting, read);
      const rows = windows
        ? await textWindows(read, tokenizer, { maxLength: longest, stride: windows.stride })
        : ((await kind?.prepare?.(read, tokenizer, setting, model)) ?? read);
      const trainer = new Trainer<TrainableModel>({
        ...{ model, tokenizer, callbacks: [progress] },
        ...(task && { task: task as unknown as Task<Predictions> }),
        args: { perDeviceEvalBatchSize, maxLength: longest },
      });
      const prediction = await trainer.predict(rows, { metricKeyPrefix: "eval" });
      progress.done();
      if (!prediction.labels) throw new GpugradError(`${all.name}: no labels to compare with.`);
      const left = badRowsNote(all);
      if (left !== undefined) say(left);
      if (options.json) {
        const { runtime, ...metrics } = plainMetrics(prediction.metrics);
        await writeOutput(`${JSON.stringify({ ...metrics, rows: windows ? read.length : rows.length, runtime })}\n`);
      } else await writeOutput(summaryOf(trainer, prediction, "rows"));
      if (kind ? Object.values(prediction.metrics).every(Number.isFinite) : isFinite(prediction.predictions)) return 0;
      say(
        "the model's numbers are NaN or infinite for some rows. Its weights may be damaged, or its training has diverged.",
      );
      return 1;
    } finally {
      await destroy();
    }
  });
}

/** The rows that the options name, for a task beside the classification of texts. */
async function openKindRows(options: Options, kind: TaskKind, names: readonly string[]): Promise<Dataset> {
  const { dataset, split } = options;
  const limits = { ...loadOptionsOf(options), textFiles: kind.textFiles };
  const isFile = split === undefined && statSync(dataset, { throwIfNoEntry: false })?.isFile();
  const tables = await openTables(isFile ? { test: dataset } : dataset, limits);
  return kind.read(await tables.open(split ?? "test"), options, names);
}
