import { basename, isAbsolute, join } from "node:path";
import { writeFileAside } from "@gpugrad/bert";
import { formatNumber, formatTable, searchReport } from "@gpugrad/train";
import { InvalidArgumentError, Option, type Command } from "commander";
import { writeError, writeOutput } from "../output.ts";
import { wholeNumber } from "../text/texts.ts";
import { gpugradCommand } from "../train/called-as.ts";
import { decisive, howToBegin, metricsIn } from "../train/folds.ts";
import { parseTrainOptions, type TrainPreset, type TrainRequest } from "../train/options.ts";
import { openState, writeState } from "../train/state-file.ts";
import type { TrainCommand } from "../train/train-command.ts";
import { bestFirst, rungsOf } from "./rungs.ts";
import { gridOf, readSpace, sampleOf, type Space, type Values } from "./space.ts";
import { divide, wordsOf } from "./words.ts";

interface Options {
  strategy: "grid" | "random" | "halving";
  trials: number;
  reductionFactor: number;
  space?: string;
}

/** A trial, and what it has come to. */
interface Trial {
  /** From 1: its folder is `trial-1`. */
  name: number;
  values: Values;
  /** The metric after so large a share of its updates, first the smallest. JSON has no NaN: null stands for it. */
  results: { share: number; value: number | null }[];
  /** Why there are no more. */
  failure?: string;
}

interface State {
  asked: Record<string, unknown>;
  trials: Trial[];
}

/** More runs than anybody waits for are a slip. */
const MOST = 1000;

const factor = (text: string): number => {
  const value = Number(text);
  if (!(value >= 2 && value < Infinity)) throw new InvalidArgumentError("It has to be a number of at least 2.");
  return value;
};

const addOptions = (command: Command): void =>
  void command
    .optionsGroup("Search:")
    .addOption(
      new Option("--strategy <name>", "every combination, some at random, or of many at random the best go on")
        .choices(["grid", "random", "halving"])
        .default("random"),
    )
    .option("--trials <n>", "combinations that are drawn, with random and halving", wholeNumber(1), 10)
    .option("--reduction-factor <x>", "halving: one trial in x continues, to x times as many updates", factor, 3)
    .option("--space <file>", "YAML or JSON file with ranges and lists of values, by the names of options");

const PRESET: TrainPreset & { addOptions: (command: Command) => void } = {
  name: "gpugrad search-hyperparameters",
  description:
    "Fine-tunes again and again with other options, and says which were best. An option is searched where its value is a range or a list: " +
    "--learning_rate 1e-5..1e-3:log, --lora_r 4..64:log:int, --per_device_train_batch_size 8,16,32 (a range of a grid has 3 values, or as many as its " +
    "last number says: 0..0.1:5). Trials are compared by --metric_for_best_model (default: loss). --output_dir gets a folder for each.",
  defaults: () => ({ reportTo: ["jsonl"] }),
  addOptions,
};

/**
 * Reads a command line and does what it asks for. Gives the exit code.
 * @param train runs `gpugrad train`
 */
export async function searchCommand(
  words: readonly string[],
  train: (words: readonly string[], command: TrainCommand) => Promise<number>,
): Promise<number> {
  try {
    return await search(words, train);
  } catch (error) {
    writeError(`${PRESET.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function search(
  words: readonly string[],
  train: (words: readonly string[], command: TrainCommand) => Promise<number>,
): Promise<number> {
  const { own, domains, common } = divide(words);
  const at = own.indexOf("--space");
  const space: Space = { ...(at >= 0 && readSpace(own[at + 1]!)), ...domains };
  const sample = wordsOf(gridOf(space)[0]!); // with it the command line is one that train takes
  const request = parseTrainOptions<Options>([...common, ...own, ...sample], PRESET);
  if (typeof request === "number") return request;
  const { options, args } = request as TrainRequest<Options> & { options: Options };
  const problem = problemOf(space, options);
  if (problem !== undefined) {
    writeError(`error: ${problem}\n`);
    return 2;
  }
  const { strategy, trials: count, reductionFactor } = options;
  const all = strategy === "grid" ? gridOf(space) : sampleOf(space, count, args.seed);
  if (all.length > MOST) throw new Error(`${all.length} trials: leave out some values, or search with --strategy random.`); // prettier-ignore
  const folder = args.outputDir!;
  const file = join(folder, "search.json");
  const asked = { ...decisive(request), ...space };
  const fresh = { asked, trials: all.map((values, i): Trial => ({ name: i + 1, values, results: [] })) };
  const state = await openState<State>(file, fresh, howToBegin(args));
  const metric = `eval_${(args.metricForBestModel ?? "loss").replace(/^eval_/, "")}`;
  const greater = args.greaterIsBetter ?? false;
  const place = ({ name }: Trial): string => join(folder, `trial-${name}`);
  const note = (text: string): void => void (options.quiet || writeError(`${text}\n`));
  const emit = async (event: object): Promise<void> => void (options.json && (await writeOutput(`${JSON.stringify(event)}\n`))); // prettier-ignore

  /** Trains a trial up to a share of its updates. @returns the exit code, where the search ends with it */
  async function advance(trial: Trial, until: number): Promise<number | undefined> {
    const isNew = trial.results.length === 0 && !howToBegin(args).resume && args.overwriteOutputDir;
    const begin = isNew
      ? ["--overwrite_output_dir", "true", "--resume_from_checkpoint", "false"]
      : ["--overwrite_output_dir", "false", "--resume_from_checkpoint", "auto"];
    let failure: string | undefined;
    const command = {
      ...{ name: "gpugrad train", description: "", defaults: PRESET.defaults },
      trial: { until, failed: (message: string) => void (failure = message) },
    };
    const code = await train([...common, ...wordsOf(trial.values), "--output_dir", place(trial), ...begin], command);
    if (code > 1) return code; // a signal, or options that no trial can have
    delete trial.failure;
    if (code === 1) trial.failure = failure ?? "it failed";
    else {
      const metrics = await metricsIn(place(trial));
      if (metrics[metric] === undefined)
        throw new Error(`${metric} is not among the metrics of a trial: ${Object.keys(metrics).join(", ")}.`);
      trial.results.push({ share: until, value: Number.isFinite(metrics[metric]) ? metrics[metric] : null });
    }
    await writeState(file, state);
    await emit({ event: "trial", ...trial, ...newest(trial), output_dir: place(trial) });
    return undefined;
  }

  const rungs = strategy === "halving" ? rungsOf(all.length, reductionFactor) : [{ trials: all.length, until: 1 }];
  let chosen = state.trials;
  for (const [i, { trials, until }] of rungs.entries()) {
    const before = rungs[i - 1]?.until;
    // By what they had come to then: after a stop, some may have come further.
    if (before !== undefined) chosen = bestFirst(chosen, (trial) => resultAt(trial, before), greater).slice(0, trials);
    for (const trial of [...chosen].sort((a, b) => a.name - b.name)) {
      if (resultAt(trial, until)) continue;
      const part = until < 1 ? `, up to ${(100 * until).toFixed(0)} % of its updates` : "";
      note(`trial ${trial.name} of ${state.trials.length}: ${described(trial.values)}${part}`);
      const code = await advance(trial, until);
      if (code !== undefined) return code;
      note(trial.failure === undefined ? `  ${metric} ${shown(newest(trial).value)}` : "  failed");
      await writeReport();
    }
    chosen = chosen.filter((trial) => resultAt(trial, until));
  }

  /** Those that were trained longer come first: what others came to after less says little. */
  function order(): Trial[] {
    const shares = [...new Set(state.trials.map((trial) => newest(trial).share))].sort((a, b) => b - a);
    return shares.flatMap((share) =>
      bestFirst(
        state.trials.filter((trial) => newest(trial).share === share),
        newest,
        greater,
      ),
    );
  }

  async function writeReport(): Promise<void> {
    const names = Object.keys(space);
    const html = await searchReport({
      ...{
        title: `Hyperparameters of ${isAbsolute(options.model) ? basename(options.model) : options.model}`,
        metric,
        greater,
        writtenAt: new Date().toISOString(),
      },
      parameters: names.map((name) => ({ name, log: isLog(space, name) })),
      trials: order().map((trial) => ({
        ...newest(trial),
        values: trial.values,
        name: `trial-${trial.name}`,
        status: statusOf(trial),
      })),
    });
    await writeFileAside(join(folder, "report.html"), html);
  }

  await writeReport();
  const [best] = order();
  if (!best || newest(best).value === null) throw new Error("no trial has a result: see what they said above.");
  await emit({ event: "end", best: place(best), ...best, ...newest(best) });
  if (options.json) return 0;
  const names = Object.keys(space);
  const rows = order().map((trial) => [
    ...[`trial-${trial.name}`, ...names.map((name) => written(trial.values[name]!))],
    ...[`${(100 * newest(trial).share).toFixed(0)} %`, shown(newest(trial).value), statusOf(trial)],
  ]);
  const again = `${gpugradCommand()} train --config ${join(place(best), "train_config.json")}`;
  const ends = [["best", place(best)], ["report", join(folder, "report.html")], ["again", again]]; // prettier-ignore
  await writeOutput(`\n${formatTable([["", ...names, "trained", metric, ""], ...rows])}\n\n${formatTable(ends, { align: "left" })}\n`); // prettier-ignore
  return 0;
}

function problemOf(
  space: Space,
  { strategy, trials, reductionFactor, ...options }: Options & Partial<TrainRequest["options"]>,
): string | undefined {
  // prettier-ignore
  if (Object.keys(space).length === 0)
    return "nothing to search: give an option a range or a list, such as --learning_rate 1e-5..1e-3:log, or --space FILE.";
  if (options.dryRun) return "--dry_run shows one run: use it with gpugrad train.";
  if (strategy !== "halving") return undefined;
  if (options.folds !== undefined) return "--folds and --strategy halving don't go together: use --strategy random.";
  return trials < reductionFactor ? `--strategy halving needs at least ${reductionFactor} --trials.` : undefined;
}

const written = (value: Values[string]): string => (typeof value === "number" ? formatValue(value) : String(value));
const formatValue = (value: number): string => (value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value)); // prettier-ignore
const described = (values: Values): string =>
  Object.entries(values).map(([name, value]) => `${name} ${written(value)}`).join(", "); // prettier-ignore

function isLog(space: Space, name: string): boolean {
  const domain = space[name]!;
  return "log" in domain ? domain.log : false;
}

/** What a trial has come to by now. */
const newest = ({ results }: Trial): Trial["results"][number] => results.at(-1) ?? { share: 0, value: null };
const resultAt = ({ results }: Trial, wanted: number): Trial["results"][number] | undefined =>
  results.find(({ share }) => share === wanted);
const shown = (value: number | null): string => (value === null ? "" : formatNumber(value));

function statusOf(trial: Trial): string {
  const { share } = newest(trial);
  if (trial.failure !== undefined) return "failed";
  return share === 1 ? "done" : share > 0 ? "stopped early" : "to come";
}
