import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { PredictionOutput, TrainerCallback, TrainingArguments } from "@gpugrad/train";
import { configurationOf } from "./describe.ts";
import { stepEntry } from "./events.ts";
import type { TrainOptions } from "./options.ts";

/** The file in the output folder that `--config` takes to do a run again. */
export const CONFIGURATION = "train_config.json";

/** A callback that keeps the configuration with the results, as soon as the output folder is this run's own. */
export function keepConfiguration(options: TrainOptions, args: TrainingArguments): TrainerCallback {
  const configuration = configurationOf(options, { ...args, hubToken: null });
  for (const name of ["model", "dataset"] as const) {
    const given = options[name];
    // Unlike an id of the Hub, which is public: what is uploaded leaves out where a folder lies.
    if (given !== undefined && !isAbsolute(given) && existsSync(given)) configuration[name] = `./${given}`;
  }
  let kept: Promise<void> | undefined;
  return {
    onTrainBegin: () =>
      (kept ??= writeFile(join(args.outputDir!, CONFIGURATION), `${JSON.stringify(configuration, null, 2)}\n`)),
  };
}

/** A callback that keeps the last evaluation whole. */
export interface EvaluationKeeper extends TrainerCallback {
  prediction?: PredictionOutput;
  step?: number;
}

export function keepEvaluation(): EvaluationKeeper {
  const keeper: EvaluationKeeper = {
    onEvaluate(_args, { globalStep }, _control, { prediction }) {
      if (prediction) Object.assign(keeper, { prediction, step: globalStep });
    },
  };
  return keeper;
}

/** A callback that writes a line of JSON for each update. A run that is resumed continues the file from its checkpoint's step on. */
export function lossTrace(file: string): TrainerCallback {
  appendFileSync(file, ""); // what can't be written is known before the data is read
  const isBefore = (line: string, step: number): boolean => Number(/^\{"step":(\d+).*\}$/.exec(line)?.[1]) <= step;
  return {
    onTrainBegin(_args, { globalStep }) {
      const kept = readFileSync(file, "utf8").split("\n").filter((line) => isBefore(line, globalStep)); // prettier-ignore
      writeFileSync(file, kept.map((line) => `${line}\n`).join(""));
    },
    onStepResult: (_args, _state, _control, { result }) => {
      if (result) appendFileSync(file, `${JSON.stringify(stepEntry(result))}\n`);
    },
  };
}

/** A callback that calls `stop` once this share of a run's updates has been made, also where a resumed run begins there. */
export function pauseAfter(share: number, stop: () => void): TrainerCallback {
  const look: TrainerCallback["onStepEnd"] = (_args, { globalStep, maxSteps }) => {
    if (share < 1 && globalStep >= Math.ceil(share * maxSteps)) stop();
  };
  return { onTrainBegin: look, onStepEnd: look };
}
