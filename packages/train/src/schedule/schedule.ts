/**
 * Learning-rate schedules: the twelve of Transformers' `get_scheduler`, with its names, defaults and end points.
 *
 * Ten of them are functions of the step alone, `step → factor`, and the learning rate in force at optimizer step s
 * (the first is s = 0) is `lr · factor(s)`. The last two watch a metric and keep a little state.
 * Below, w = numWarmupSteps, n = numTrainingSteps, q = (s − w) / max(1, n − w), and every warm-up is s / w unless said otherwise.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py
 */

import { checkOptions, GpugradError, showValue, type Takes } from "@gpugrad/tensor";
import { isBetter as passes } from "../metrics/better.ts";
import { didYouMean } from "../arguments/nearest.ts";
import { checkRanges } from "../optim/check.ts";

/** The names of Transformers' `SchedulerType`. */
export const SCHEDULER_NAMES = [
  "linear",
  "cosine",
  "cosine_with_restarts",
  "polynomial",
  "constant",
  "constant_with_warmup",
  "inverse_sqrt",
  "reduce_lr_on_plateau",
  "cosine_with_min_lr",
  "cosine_warmup_with_min_lr",
  "warmup_stable_decay",
  "greedy",
] as const;

export type SchedulerName = (typeof SCHEDULER_NAMES)[number];

/** Whether a schedule moves by a metric, at evaluations, and not by steps. */
export const watchesMetric = (name: SchedulerName): boolean => name === "reduce_lr_on_plateau" || name === "greedy";

/** The share of the base learning rate in force at optimizer step `step` (from 0). */
export type Schedule = (step: number) => number;

/** A learning rate that moves: read `lr`, take the optimizer step, call `step`. */
export interface LrScheduler {
  /** The learning rate in force now. */
  readonly lr: number;
  /**
   * Moves on by one step.
   * @param metric what `reduce_lr_on_plateau` and `greedy` watch; the others ignore it.
   */
  step(metric?: number): void;
  /** The state as plain JSON, to be continued with `loadStateDict`. */
  stateDict(): Record<string, unknown>;
  loadStateDict(state: Record<string, unknown>): void;
}

/** What `getScheduler` needs; `schedulerSpecificKwargs` takes Hugging Face's spelling (`num_cycles`) or ours (`numCycles`). */
export type SchedulerOptions = {
  /** The base learning rate; 1 by default, so that `lr` reads as a factor. */
  lr?: number;
  numWarmupSteps?: number;
  numTrainingSteps?: number;
  schedulerSpecificKwargs?: Readonly<Record<string, unknown>>;
};

type Steps = { numWarmupSteps: number; numTrainingSteps: number };
type MinLr = { lr?: number; minLr?: number; minLrRate?: number };
type Ramp = "linear" | "cosine" | "1-sqrt";

const RAMPS = ["linear", "cosine", "1-sqrt"] as const;
const STEPS: Takes = { numWarmupSteps: "number", numTrainingSteps: "number" };
const MIN_LR: Takes = { lr: "number?", minLr: "number?", minLrRate: "number?" };

/** Throws for an option that is unknown, of another kind, or a number that isn't finite; for negative numbers of steps, and rates. */
function check(owner: string, options: unknown, takes: Takes): void {
  checkOptions(owner, options, takes);
  const given = Object.entries(options ?? {}).filter(([, value]) => typeof value === "number");
  const from = (name: string): number => (/^(lr|num\w+Steps)$/.test(name) ? 0 : -Infinity);
  checkRanges(owner, options ?? {}, Object.fromEntries(given.map(([name]) => [name, { from: from(name) }])));
}

const warmup = (step: number, numWarmupSteps: number) => step / Math.max(1, numWarmupSteps);
const wave = (numCycles: number, progress: number) => 0.5 * (1 + Math.cos(Math.PI * numCycles * 2 * progress));
const lift = (factor: number, floor: number) => Math.max(0, factor * (1 - floor) + floor);
const progressOf = (step: number, { numWarmupSteps, numTrainingSteps }: Steps) =>
  (step - numWarmupSteps) / Math.max(1, numTrainingSteps - numWarmupSteps);

/**
 * 1 throughout; a warm-up is ignored.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L39
 */
export function getConstantSchedule(): Schedule {
  return () => 1;
}

/**
 * 1 after the warm-up.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L74
 */
export function getConstantScheduleWithWarmup(options: { numWarmupSteps: number }): Schedule {
  check("getConstantScheduleWithWarmup", options, { numWarmupSteps: "number", numTrainingSteps: "number?" });
  const { numWarmupSteps } = options;
  return (s) => (s < numWarmupSteps ? warmup(s, numWarmupSteps) : 1);
}

/**
 * max(0, (n − s) / max(1, n − w)) after the warm-up.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L101
 */
export function getLinearScheduleWithWarmup(steps: Steps): Schedule {
  check("getLinearScheduleWithWarmup", steps, { ...STEPS, lr: "number?" });
  const { numWarmupSteps: w, numTrainingSteps: n } = steps;
  return (s) => (s < w ? warmup(s, w) : Math.max(0, (n - s) / Math.max(1, n - w)));
}

/**
 * ½(1 + cos(2π·numCycles·q)) after the warm-up, half a wave by default. Not clamped: past the end it rises again.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L143
 */
export function getCosineScheduleWithWarmup(options: Steps & { numCycles?: number }): Schedule {
  check("getCosineScheduleWithWarmup", options, { ...STEPS, lr: "number?", numCycles: "number?" });
  return getCosineWithMinLrScheduleWithWarmup({ ...options, minLrRate: 0 });
}

/**
 * `numCycles` (default 1) descents ½(1 + cos(π·(numCycles·q mod 1))), each from 1 to 0; 0 from the end on.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L177
 */
export function getCosineWithHardRestartsScheduleWithWarmup(options: Steps & { numCycles?: number }): Schedule {
  const takes = { ...STEPS, lr: "number?", numCycles: "number?" } as const;
  check("getCosineWithHardRestartsScheduleWithWarmup", options, takes);
  const { numWarmupSteps: w, numCycles = 1 } = options;
  return (s) => {
    if (s < w) return warmup(s, w);
    const q = progressOf(s, options);
    return q >= 1 ? 0 : wave(0.5, (numCycles * q) % 1);
  };
}

/**
 * ((lr − lrEnd)·(1 − q)^power + lrEnd) / lr, and lrEnd / lr past the end.
 * @throws when lr is missing or not above lrEnd (default 1e-7).
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L221
 */
export function getPolynomialDecayScheduleWithWarmup(
  options: Steps & { lr?: number; lrEnd?: number; power?: number },
): Schedule {
  const takes = { ...STEPS, lr: "number?", lrEnd: "number?", power: "number?" } as const;
  check("getPolynomialDecayScheduleWithWarmup", options, takes);
  const { numWarmupSteps: w, numTrainingSteps: n, lrEnd = 1e-7, power = 1 } = options;
  const lr = needLr("polynomial", options.lr);
  if (!(lr > lrEnd)) throw new GpugradError(`getScheduler: polynomial: lr_end is not below lr: ${lrEnd} · ${lr}.`);
  return (s) => {
    if (s < w) return warmup(s, w);
    return s > n ? lrEnd / lr : ((lr - lrEnd) * (1 - progressOf(s, options)) ** power + lrEnd) / lr;
  };
}

/**
 * √(timescale / (s − w + timescale)) after the warm-up; timescale is w by default, 10,000 without warm-up.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L288
 */
export function getInverseSqrtSchedule(options: { numWarmupSteps: number; timescale?: number }): Schedule {
  check("getInverseSqrtSchedule", options, { numWarmupSteps: "number", timescale: "number?" });
  const { numWarmupSteps: w, timescale = w || 10_000 } = options;
  return (s) => (s < w ? warmup(s, w) : 1 / Math.sqrt((s - w + timescale) / timescale));
}

/**
 * The cosine schedule over [minLrRate, 1]; `minLr` (with `lr`) gives the floor in absolute terms.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L326
 */
export function getCosineWithMinLrScheduleWithWarmup(options: Steps & MinLr & { numCycles?: number }): Schedule {
  check("getCosineWithMinLrScheduleWithWarmup", options, { ...STEPS, ...MIN_LR, numCycles: "number?" });
  const { numWarmupSteps: w, numCycles = 0.5 } = options;
  const floor = minLrRateOf("cosine_with_min_lr", options);
  return (s) => (s < w ? warmup(s, w) : lift(wave(numCycles, progressOf(s, options)), floor));
}

/**
 * As `cosine_with_min_lr`, one step ahead: (s + 1) / w, and the cosine at s + 1. With `warmupLrRate` the warm-up
 * starts there and reaches 1 at step w − 1.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L389
 */
export function getCosineWithMinLrScheduleWithWarmupLrRate(
  options: Steps & MinLr & { numCycles?: number; warmupLrRate?: number },
): Schedule {
  const takes = { ...STEPS, ...MIN_LR, numCycles: "number?", warmupLrRate: "number?" } as const;
  check("getCosineWithMinLrScheduleWithWarmupLrRate", options, takes);
  const { numWarmupSteps: w, numCycles = 0.5, warmupLrRate } = options;
  const floor = minLrRateOf("cosine_warmup_with_min_lr", options);
  return (s) => {
    if (s >= w) return lift(wave(numCycles, progressOf(s + 1, options)), floor);
    if (warmupLrRate === undefined) return warmup(s + 1, w);
    return warmupLrRate + (1 - warmupLrRate) * (s / Math.max(1, w - 1));
  };
}

/**
 * Three stages: a rise from minLrRatio to 1 in w steps, 1, a fall back in `numDecaySteps`; minLrRatio from then on.
 * Ramps are `linear`, `cosine` or `1-sqrt`; the stable stage takes what the others leave of n, or `numStableSteps`.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L470
 */
export function getWsdSchedule(options: {
  numWarmupSteps: number;
  numDecaySteps: number;
  numTrainingSteps?: number;
  numStableSteps?: number;
  warmupType?: Ramp;
  decayType?: Ramp;
  minLrRatio?: number;
  numCycles?: number;
}): Schedule {
  check("getWsdSchedule", options, {
    ...{ numWarmupSteps: "number", numDecaySteps: "number", numTrainingSteps: "number?", numStableSteps: "number?" },
    ...{ warmupType: RAMPS, decayType: RAMPS, minLrRatio: "number?", numCycles: "number?" },
  });
  const { numWarmupSteps: w, numDecaySteps, warmupType = "linear", decayType = "cosine" } = options;
  const { minLrRatio = 0, numCycles = 0.5 } = options;
  const numStableSteps =
    options.numStableSteps ??
    need("warmup_stable_decay", "numTrainingSteps", options.numTrainingSteps) - w - numDecaySteps;
  const rise = {
    linear: (p: number) => p,
    cosine: (p: number) => 0.5 * (1 - Math.cos(Math.PI * p)),
    "1-sqrt": (p: number) => 1 - Math.sqrt(1 - p),
  }[warmupType];
  const fall = {
    linear: (p: number) => 1 - p,
    cosine: (p: number) => wave(numCycles, p),
    "1-sqrt": (p: number) => 1 - Math.sqrt(p),
  }[decayType];
  return (s) => {
    if (s < w) return lift(rise(warmup(s, w)), minLrRatio);
    const decayed = s - w - numStableSteps;
    if (decayed < 0) return 1;
    return decayed < numDecaySteps ? lift(fall(decayed / Math.max(1, numDecaySteps)), minLrRatio) : minLrRatio;
  };
}

/** What both metric-driven schedules share: when a metric counts as better than the best so far. */
type Watch = { mode: "min" | "max"; threshold: number; thresholdMode: "rel" | "abs" };

const isBetter = (metric: number, best: number | null, { mode, threshold, thresholdMode }: Watch): boolean => {
  const sign = mode === "max" ? 1 : -1;
  const bar = (best: number): number =>
    thresholdMode === "rel" ? best * (1 + sign * threshold) : best + sign * threshold;
  return passes(metric, best, { greater: mode === "max", bar });
};

const PLATEAU: Takes = {
  ...{ mode: ["min", "max"], factor: "number?", patience: "number?", threshold: "number?" },
  ...{ thresholdMode: ["rel", "abs"], cooldown: "number?", minLr: "number?", eps: "number?" },
};

/** Options of PyTorch's `ReduceLROnPlateau`, with its defaults in brackets. */
export type ReduceLrOnPlateauOptions = {
  /** Whether the metric should fall or rise ("min"). */
  mode?: "min" | "max";
  /** lr ← lr · factor (0.1). */
  factor?: number;
  /** Steps without improvement that are borne; the next one cuts (10). */
  patience?: number;
  /** How much better counts as better (1e-4), relative or absolute ("rel"). */
  threshold?: number;
  thresholdMode?: "rel" | "abs";
  /** Steps after a cut that don't count (0). */
  cooldown?: number;
  /** The lowest rate (0), and the smallest cut that is made (1e-8). */
  minLr?: number;
  eps?: number;
};

/**
 * Multiplies the rate by `factor` after more than `patience` steps without improvement.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
 */
export function getReduceOnPlateauSchedule(lr: number, options: ReduceLrOnPlateauOptions = {}): LrScheduler {
  check("getReduceOnPlateauSchedule", { lr, ...options }, { lr: "number", ...PLATEAU });
  const { factor = 0.1, patience = 10, cooldown = 0, minLr = 0, eps = 1e-8 } = options;
  const watch: Watch = { mode: "min", threshold: 1e-4, thresholdMode: "rel", ...options };
  checkFactor("reduce_lr_on_plateau", factor);
  const state = { lr, best: null as number | null, numBadEpochs: 0, cooldownCounter: 0 };
  return stateful(state, (metric) => {
    const value = needMetric("reduce_lr_on_plateau", metric);
    if (isBetter(value, state.best, watch)) {
      state.best = value;
      state.numBadEpochs = 0;
    } else state.numBadEpochs++;
    if (state.cooldownCounter > 0) {
      state.cooldownCounter--;
      state.numBadEpochs = 0;
    }
    if (state.numBadEpochs > patience) {
      const next = Math.max(state.lr * factor, minLr);
      if (state.lr - next > eps) state.lr = next;
      state.cooldownCounter = cooldown;
      state.numBadEpochs = 0;
    }
  });
}

/** Options of Transformers' `GreedyLR`, with its defaults in brackets. */
export type GreedyOptions = {
  mode?: "min" | "max";
  /** lr · factor on a plateau, lr / factor on steady improvement (0.95). */
  factor?: number;
  /** Steps in a row that are awaited before either (10). */
  patience?: number;
  /** How much better counts as better (1e-6), relative or absolute ("abs"). */
  threshold?: number;
  thresholdMode?: "rel" | "abs";
  /** Steps that don't count after a cut (0), and after a rise (0). */
  cooldown?: number;
  warmup?: number;
  /** Bounds of the rate (1e-3, 1), and the smallest change that is made (1e-8). */
  minLr?: number;
  maxLr?: number;
  eps?: number;
  /** Watch the mean of the last `windowSize` (50) metrics instead of each (false). */
  smooth?: boolean;
  windowSize?: number;
  /** Cuts that are asked for at `minLr` before everything starts anew (500). */
  resetStart?: number;
};

/**
 * Raises the rate while the metric improves, lowers it on a plateau.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py#L621
 * @see https://arxiv.org/abs/2512.14527
 */
export function getGreedySchedule(lr: number, options: GreedyOptions = {}): LrScheduler {
  check(
    "getGreedySchedule",
    { lr, ...options },
    {
      ...{ lr: "number", ...PLATEAU, warmup: "number?", maxLr: "number?" },
      ...{ smooth: "boolean?", windowSize: "number?", resetStart: "number?" },
    },
  );
  const { factor = 0.95, patience = 10, cooldown = 0, warmup: rest = 0, minLr = 1e-3, maxLr = 1, eps = 1e-8 } = options;
  const { smooth = false, windowSize = 50, resetStart = 500 } = options;
  const watch: Watch = { mode: "min", threshold: 1e-6, thresholdMode: "abs", ...options };
  checkFactor("greedy", factor);
  const start = {
    lr,
    best: null as number | null,
    numBadEpochs: 0,
    numGoodEpochs: 0,
    pause: 0,
    resetStart,
    window: [] as number[],
  };
  const state = structuredClone(start);
  return stateful(state, (metric) => {
    let value = needMetric("greedy", metric);
    if (smooth) {
      state.window = [...state.window, value].slice(-windowSize);
      value = state.window.reduce((a, b) => a + b, 0) / state.window.length;
    }
    if (state.pause > 0) {
      state.pause--;
      state.numBadEpochs = state.numGoodEpochs = 0;
      return;
    }
    if (isBetter(value, state.best, watch)) {
      state.best = value;
      state.numBadEpochs = 0;
      state.numGoodEpochs++;
    } else {
      state.numBadEpochs++;
      state.numGoodEpochs = 0;
    }
    if (state.numGoodEpochs > patience) {
      const next = Math.min(state.lr / factor, maxLr);
      if (next - state.lr > eps) state.lr = next;
      state.resetStart = resetStart;
      state.pause = rest;
      state.numGoodEpochs = 0;
    } else if (state.numBadEpochs > patience) {
      const next = Math.max(state.lr * factor, minLr);
      if (state.lr - next > eps) state.lr = next;
      const startAnew = state.lr <= minLr && --state.resetStart <= 0;
      if (startAnew) Object.assign(state, structuredClone(start));
      state.pause = cooldown;
      state.numBadEpochs = 0;
    }
  });
}

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

function stateful<S extends { lr: number }>(state: S, update: (metric?: number) => void): LrScheduler {
  return {
    get lr() {
      return state.lr;
    },
    step: update,
    stateDict: () => structuredClone(state),
    loadStateDict: (saved) => {
      const [here, there] = [state, saved].map((each) => Object.keys(each).sort().join(", "));
      if (here !== there) {
        throw new GpugradError(
          `scheduler.loadStateDict: the state is another schedule's: it has ${there}; ${here} is what is needed. ` +
            "Make the scheduler as the one that was saved.",
        );
      }
      for (const [name, value] of Object.entries(state)) {
        const given = saved[name];
        const fits =
          typeof given === typeof value || (name === "best" && (given === null || typeof given === "number"));
        if (!fits)
          throw new GpugradError(`scheduler.loadStateDict: ${name} is ${showValue(given)}, not ${typeof value}.`);
      }
      Object.assign(state, structuredClone(saved));
    },
  };
}

function need(name: string, what: string, value: number | undefined): number {
  if (value === undefined) throw new GpugradError(`getScheduler: ${name} needs ${what}, which is missing.`);
  return value;
}

function needLr(name: string, lr: number | undefined): number {
  if (lr === undefined)
    throw new GpugradError(`getScheduler: ${name} needs lr, because its end is given in absolute terms.`);
  return lr;
}

function needMetric(name: string, metric: number | undefined): number {
  if (typeof metric !== "number")
    throw new GpugradError(`scheduler.step: ${name} needs a metric, not ${showValue(metric)}: call step(evalLoss).`);
  return metric;
}

function checkFactor(name: string, factor: number): void {
  if (!(factor < 1)) throw new GpugradError(`getScheduler: ${name}: factor is not below 1: ${factor}.`);
}

function minLrRateOf(name: string, { lr, minLr, minLrRate }: MinLr): number {
  if ((minLr === undefined) === (minLrRate === undefined)) {
    throw new GpugradError(`getScheduler: ${name} needs one of min_lr and min_lr_rate: ${minLr} · ${minLrRate}.`);
  }
  return minLrRate ?? minLr! / needLr(name, lr);
}
