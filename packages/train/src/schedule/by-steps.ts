import { GpugradError, type Takes } from "@gpugrad/tensor";
import { check, need } from "./check.ts";

/** The share of the base learning rate in force at optimizer step `step` (from 0). */
export type Schedule = (step: number) => number;

type Steps = { numWarmupSteps: number; numTrainingSteps: number };
type MinLr = { lr?: number; minLr?: number; minLrRate?: number };
type Ramp = "linear" | "cosine" | "1-sqrt";

const RAMPS = ["linear", "cosine", "1-sqrt"] as const;
const STEPS: Takes = { numWarmupSteps: "number", numTrainingSteps: "number" };
const MIN_LR: Takes = { lr: "number?", minLr: "number?", minLrRate: "number?" };

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

function needLr(name: string, lr: number | undefined): number {
  if (lr === undefined)
    throw new GpugradError(`getScheduler: ${name} needs lr, because its end is given in absolute terms.`);
  return lr;
}

function minLrRateOf(name: string, { lr, minLr, minLrRate }: MinLr): number {
  if ((minLr === undefined) === (minLrRate === undefined)) {
    throw new GpugradError(`getScheduler: ${name} needs one of min_lr and min_lr_rate: ${minLr} · ${minLrRate}.`);
  }
  return minLrRate ?? minLr! / needLr(name, lr);
}
