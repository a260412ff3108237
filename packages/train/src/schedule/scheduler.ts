/**
 * Learning-rate schedules: the twelve of Transformers' `get_scheduler`, with its names, defaults and end points.
 *
 * Ten of them are functions of the step alone, `step → factor`, and the learning rate in force at optimizer step s
 * (the first is s = 0) is `lr · factor(s)`. The last two watch a metric and keep a little state.
 * Below, w = numWarmupSteps, n = numTrainingSteps, q = (s − w) / max(1, n − w), and every warm-up is s / w unless said otherwise.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/optimization.py
 */

import { GpugradError, showValue } from "@gpugrad/tensor";

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

/** A scheduler whose state is plain values, `update` moving them on. */
export function stateful<S extends { lr: number }>(state: S, update: (metric?: number) => void): LrScheduler {
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
