import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatNumber, formatTable, type TrainingArguments } from "@gpugrad/train";
import { writeFileAside } from "@gpugrad/bert";
import { writeError, writeOutput } from "../output.ts";
import { configurationOf } from "./describe.ts";
import type { TrainRequest } from "./options.ts";
import { openState, writeState } from "./state-file.ts";

type Metrics = Record<string, number>;

/** What the command's runs have come to. */
interface State {
  asked: Record<string, unknown>;
  /** The metrics of the folds that are done, by their numbers. */
  done: Record<string, Metrics>;
}

/** Whether earlier runs are to be continued, or written over. */
export const howToBegin = ({ resumeFromCheckpoint, overwriteOutputDir }: TrainingArguments) => ({
  resume: resumeFromCheckpoint !== null && resumeFromCheckpoint !== false,
  overwrite: overwriteOutputDir,
});

/** What decides what a run computes: all options but where it is kept, and how it begins. */
export function decisive({ options, args }: TrainRequest): Record<string, unknown> {
  const { output_dir: _, resume_from_checkpoint: __, overwrite_output_dir: ___, hub_token: ____, ...others } = configurationOf(options, args); // prettier-ignore
  return others;
}

/** The words that make a run of several continue where it was stopped, or begin. */
export const beginning = (args: TrainingArguments): string[] =>
  howToBegin(args).resume ? ["--resume_from_checkpoint", "auto"] : args.overwriteOutputDir ? ["--overwrite_output_dir"] : []; // prettier-ignore

/** The metrics in a run's folder, without times and counts. */
export async function metricsIn(folder: string): Promise<Metrics> {
  const all = JSON.parse(await readFile(join(folder, "all_results.json"), "utf8")) as Record<string, number | null>;
  const named = Object.entries(all).filter(([name]) => /^(eval|test)_/.test(name) && !/_(runtime|per_second|samples)$/.test(name)); // prettier-ignore
  return Object.fromEntries(named.map(([name, value]) => [name, value ?? NaN])); // JSON has no NaN
}

/** Mean and sample standard deviation. */
export function meanAndSd(values: readonly number[]): { mean: number; sd: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, sd: Math.sqrt(squares / (values.length - 1)) };
}

/**
 * Trains and evaluates once for each fold, in folders `fold-1`, …; means and standard deviations of all metrics are printed, and are in
 * `all_results.json`. What was done before a stop is kept.
 * @param run runs `gpugrad train` with more words; gives its exit code
 */
export async function crossValidate(
  request: TrainRequest,
  run: (more: readonly string[]) => Promise<number>,
): Promise<number> {
  const { options, args } = request;
  const [folder, folds] = [args.outputDir!, options.folds!];
  const file = join(folder, "folds.json");
  const state = await openState<State>(file, { asked: decisive(request), done: {} }, howToBegin(args));
  const numbers = Array.from({ length: folds }, (_, i) => String(i + 1));
  for (const fold of numbers) {
    if (state.done[fold]) continue;
    const place = join(folder, `fold-${fold}`);
    if (!options.quiet) writeError(`fold ${fold} of ${folds}\n`);
    await writeState(file, state);
    const code = await run(["--fold", fold, "--output_dir", place, ...beginning(args)]);
    if (code !== 0) return code;
    state.done[fold] = await metricsIn(place);
    await writeState(file, state);
  }
  const names = Object.keys(state.done["1"]!);
  const rows = names.map((name) => {
    const values = numbers.map((fold) => state.done[fold]![name] ?? NaN);
    return { name, values, ...meanAndSd(values) };
  });
  const results = Object.fromEntries(rows.flatMap(({ name, mean, sd }) => [[name, mean], [`${name}_sd`, sd]])); // prettier-ignore
  await writeFileAside(join(folder, "all_results.json"), `${JSON.stringify({ folds, ...results }, null, 4)}\n`);
  if (options.json) {
    await writeOutput(`${JSON.stringify({ event: "folds", folds, metrics: rows, output_dir: folder })}\n`);
    return 0;
  }
  const table = rows.map(({ name, values, mean, sd }) => [name, ...[mean, sd, ...values].map(formatNumber)]);
  const head = ["", "mean", "sd", ...numbers.map((fold) => `fold ${fold}`)];
  await writeOutput(`\n${folds} folds: mean and standard deviation\n\n${formatTable([head, ...table])}\n`);
  return 0;
}
