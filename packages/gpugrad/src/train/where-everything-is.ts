import { existsSync } from "node:fs";
import { join } from "node:path";
import { formatNumber, formatTable, type Trainer, type TrainerState, type TrainingArguments } from "@gpugrad/train";
import { gpugradCommand } from "./called-as.ts";
import type { TrainOptions } from "./options.ts";
import { CONFIGURATION } from "./run-callbacks.ts";
import type { Task } from "./task.ts";

interface Finished {
  trainer: Trainer<Task["model"]>;
  options: TrainOptions;
  args: TrainingArguments;
}

/** Where everything is, and what to do with it. */
export function whereEverythingIs({ trainer, args, options }: Finished): string {
  const folder = args.outputDir!;
  const there = (name: string): string[] => (existsSync(join(folder, name)) ? [join(folder, name)] : []);
  const rows: string[][] = [["model", folder]];
  const best = describeBest(trainer.state, args);
  if (best) rows.push(["best", best]);
  const report = there("report.html");
  if (report.length > 0) rows.push(["report", ...report]);
  const logs = ["log.jsonl", "log.csv", "runs", "trainer_state.json"].flatMap(there);
  if (logs.length > 0) rows.push(["logs", logs.join(", ")]);
  rows.push(...there("all_results.json").map((path) => ["results", path]));
  rows.push(["all options", join(folder, CONFIGURATION)]);
  const command = gpugradCommand();
  const isPair = options.textPairColumn !== undefined;
  const isFor = (...names: string[]): boolean => names.includes(trainer.task.name);
  if (isFor("masked-lm", "pretraining")) rows.push(["fill-mask", `${command} fill-mask ${folder} "A [MASK] text."`]);
  else if (isFor("sentence-embeddings")) rows.push(["embed", `${command} embed ${folder} "A text."`]);
  else if (!isPair && !isFor("question-answering", "multiple-choice")) rows.push(["predict", `${command} predict ${folder} "${trainer.task.name === "regression" ? "A text." : "A text to label."}"`]); // prettier-ignore
  if (options.dataset !== undefined) rows.push(["evaluate", `${command} evaluate ${folder} --dataset ${options.dataset}`]); // prettier-ignore
  return formatTable(rows, { align: "left" });
}

function describeBest({ bestMetric, bestModelCheckpoint }: TrainerState, args: TrainingArguments): string | undefined {
  if (bestModelCheckpoint === null || bestMetric === null) return undefined;
  return `${bestModelCheckpoint}: ${args.metricForBestModel} ${formatNumber(bestMetric)}`;
}
