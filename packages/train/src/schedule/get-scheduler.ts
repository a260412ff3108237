import { GpugradError, showValue } from "@gpugrad/tensor";
import { didYouMean } from "../arguments/nearest.ts";
import { getGreedySchedule, getReduceOnPlateauSchedule } from "./by-metric.ts";
import {
  getConstantSchedule,
  getConstantScheduleWithWarmup,
  getCosineScheduleWithWarmup,
  getCosineWithHardRestartsScheduleWithWarmup,
  getCosineWithMinLrScheduleWithWarmup,
  getCosineWithMinLrScheduleWithWarmupLrRate,
  getInverseSqrtSchedule,
  getLinearScheduleWithWarmup,
  getPolynomialDecayScheduleWithWarmup,
  getWsdSchedule,
  type Schedule,
} from "./by-steps.ts";
import { check, need } from "./check.ts";
import { SCHEDULER_NAMES, stateful, type LrScheduler, type SchedulerName } from "./scheduler.ts";

/** What `getScheduler` needs; `schedulerSpecificKwargs` takes Hugging Face's spelling (`num_cycles`) or ours (`numCycles`). */
export type SchedulerOptions = {
  /** The base learning rate; 1 by default, so that `lr` reads as a factor. */
  lr?: number;
  numWarmupSteps?: number;
  numTrainingSteps?: number;
  schedulerSpecificKwargs?: Readonly<Record<string, unknown>>;
};

/**
 * Any schedule by the name that `--lr_scheduler_type` takes.
 *
 * @example
 * const scheduler = getScheduler("cosine", { lr: 5e-5, numWarmupSteps: 0, numTrainingSteps: 4689 });
 * optimizer.lr = scheduler.lr;
 * optimizer.step();
 * scheduler.step();
 *
 * @throws for an unknown name, an unknown keyword, or a missing number of steps.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L960
 */
export function getScheduler(name: string, options: SchedulerOptions = {}): LrScheduler {
  check("getScheduler", options, {
    ...{ lr: "number?", numWarmupSteps: "number?", numTrainingSteps: "number?" },
    schedulerSpecificKwargs: "object?",
  });
  const lr = options.lr ?? 1;
  const kwargs = camelKeys(name, options.schedulerSpecificKwargs ?? {});
  if (name === "reduce_lr_on_plateau") return getReduceOnPlateauSchedule(lr, kwargs);
  if (name === "greedy") return getGreedySchedule(lr, kwargs);
  const factor = stepSchedule(name, options, kwargs);
  const state = { lr: lr * factor(0), lastEpoch: 0 };
  return stateful(state, () => {
    state.lastEpoch++;
    state.lr = lr * factor(state.lastEpoch);
  });
}

/** The keywords that each name takes besides its numbers of steps. */
const KEYWORDS: Record<SchedulerName, readonly string[]> = {
  linear: [],
  cosine: ["numCycles"],
  cosine_with_restarts: ["numCycles"],
  polynomial: ["lrEnd", "power"],
  constant: [],
  constant_with_warmup: [],
  inverse_sqrt: ["timescale"],
  reduce_lr_on_plateau: ["mode", "factor", "patience", "threshold", "thresholdMode", "cooldown", "minLr", "eps"],
  cosine_with_min_lr: ["numCycles", "minLr", "minLrRate"],
  cosine_warmup_with_min_lr: ["numCycles", "minLr", "minLrRate", "warmupLrRate"],
  warmup_stable_decay: ["numDecaySteps", "numStableSteps", "warmupType", "decayType", "minLrRatio", "numCycles"],
  greedy: [
    ...["mode", "factor", "patience", "threshold", "thresholdMode", "cooldown", "warmup", "minLr", "maxLr", "eps"],
    ...["smooth", "windowSize", "resetStart"],
  ],
};

function stepSchedule(name: string, options: SchedulerOptions, kwargs: Record<string, never>): Schedule {
  if (name === "constant") return getConstantSchedule();
  const numWarmupSteps = need(name, "numWarmupSteps", options.numWarmupSteps);
  if (name === "constant_with_warmup") return getConstantScheduleWithWarmup({ numWarmupSteps });
  if (name === "inverse_sqrt") return getInverseSqrtSchedule({ numWarmupSteps, ...kwargs });
  if (name === "warmup_stable_decay") {
    const { numTrainingSteps } = options;
    const numDecaySteps = need(name, "schedulerSpecificKwargs.num_decay_steps", kwargs.numDecaySteps);
    const steps = numTrainingSteps === undefined ? {} : { numTrainingSteps };
    return getWsdSchedule({ numWarmupSteps, ...steps, ...kwargs, numDecaySteps });
  }
  const numTrainingSteps = need(name, "numTrainingSteps", options.numTrainingSteps);
  const lr = options.lr === undefined ? {} : { lr: options.lr };
  const all = { numWarmupSteps, numTrainingSteps, ...lr, ...kwargs };
  switch (name as SchedulerName) {
    case "linear":
      return getLinearScheduleWithWarmup(all);
    case "cosine":
      return getCosineScheduleWithWarmup(all);
    case "cosine_with_restarts":
      return getCosineWithHardRestartsScheduleWithWarmup(all);
    case "polynomial":
      return getPolynomialDecayScheduleWithWarmup(all);
    case "cosine_with_min_lr":
      return getCosineWithMinLrScheduleWithWarmup(all);
    default:
      return getCosineWithMinLrScheduleWithWarmupLrRate(all);
  }
}

/** What a keyword's value may be, where it is not a number. */
const CHOICES: Record<string, readonly unknown[]> = {
  mode: ["min", "max"],
  thresholdMode: ["rel", "abs"],
  warmupType: ["linear", "cosine", "1-sqrt"],
  decayType: ["linear", "cosine", "1-sqrt"],
  smooth: [true, false],
};

/** The keywords in camelCase, without those that are null, Python's None. @throws for a name, keyword or value that can't be */
function camelKeys(name: string, kwargs: Readonly<Record<string, unknown>>): Record<string, never> {
  if (!(SCHEDULER_NAMES as readonly string[]).includes(name)) {
    throw new GpugradError(
      `getScheduler: unknown name: ${name}. Choose one of ${SCHEDULER_NAMES.join(", ")}.${didYouMean(name, SCHEDULER_NAMES)}`,
    );
  }
  const known = KEYWORDS[name as SchedulerName];
  const camel: Record<string, unknown> = {};
  for (const [given, value] of Object.entries(kwargs)) {
    const key = given.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const refuse = (what: string): never => {
      throw new GpugradError(`getScheduler: ${name}: ${what}`);
    };
    if (!known.includes(key)) {
      const takes = known.length > 0 ? known.join(", ") : "none";
      refuse(`unknown keyword: ${given}. It takes ${takes}.${didYouMean(given, known)}`);
    }
    if (key in camel) refuse(`${given} is given twice, in both spellings.`);
    if (value === null) continue;
    const choices = CHOICES[key];
    if (choices && !choices.includes(value))
      refuse(`${given} is ${showValue(value)}. Choose one of ${choices.join(", ")}.`);
    if (!choices && !Number.isFinite(value)) refuse(`${given} is ${showValue(value)}, but a number is needed.`);
    camel[key] = value;
  }
  return camel as Record<string, never>;
}
