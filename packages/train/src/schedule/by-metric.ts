import { GpugradError, showValue, type Takes } from "@gpugrad/tensor";
import { isBetter as passes } from "../metrics/better.ts";
import { check } from "./check.ts";
import { stateful, type LrScheduler } from "./scheduler.ts";

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
  /** Cuts that are asked for at `minLr` before everything starts over (500). */
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
      const restarts = state.lr <= minLr && --state.resetStart <= 0;
      if (restarts) Object.assign(state, structuredClone(start));
      state.pause = cooldown;
      state.numBadEpochs = 0;
    }
  });
}

function needMetric(name: string, metric: number | undefined): number {
  if (typeof metric !== "number")
    throw new GpugradError(`scheduler.step: ${name} needs a metric, not ${showValue(metric)}: call step(evalLoss).`);
  return metric;
}

function checkFactor(name: string, factor: number): void {
  if (!(factor < 1)) throw new GpugradError(`getScheduler: ${name}: factor is not below 1: ${factor}.`);
}
