import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { initGradScaler, updateGradScaler } from "../optim/grad-scaler.ts";
import { getCosineScheduleWithWarmup, getLinearScheduleWithWarmup } from "./by-steps.ts";
import { getScheduler } from "./get-scheduler.ts";
import { SCHEDULER_NAMES, type LrScheduler, type SchedulerName } from "./scheduler.ts";

const optim = join(process.env.GPUGRAD_SHARED ?? "../shared", "reference/optim");

function read<T>(file: string): { cases: T[]; base_lr?: number } {
  const path = join(optim, file);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as { cases: T[] }) : { cases: [] };
}

test("warm-up starts at 0, the last step is not yet at 0", () => {
  const linear = getLinearScheduleWithWarmup({ numWarmupSteps: 2, numTrainingSteps: 6 });
  expect([0, 1, 2, 3, 5, 6, 9].map(linear)).toEqual([0, 0.5, 1, 0.75, 0.25, 0, 0]);
  const cosine = getCosineScheduleWithWarmup({ numWarmupSteps: 0, numTrainingSteps: 4 });
  [1, 0.5 + Math.SQRT1_2 / 2, 0.5, 0.5 - Math.SQRT1_2 / 2, 0].forEach((v, s) => expect(cosine(s)).toBeCloseTo(v, 12));
});

test("both spellings of keywords, unknown ones are refused", () => {
  const steps = { numWarmupSteps: 0, numTrainingSteps: 10 };
  const rateAfter3 = (schedulerSpecificKwargs: Record<string, unknown>) => {
    const scheduler = getScheduler("cosine", { ...steps, schedulerSpecificKwargs });
    for (let i = 0; i < 3; i++) scheduler.step();
    return scheduler.lr;
  };
  expect(rateAfter3({ num_cycles: 1 })).toBe(rateAfter3({ numCycles: 1 }));
  expect(() => rateAfter3({ cycles: 1 })).toThrow("getScheduler: cosine: unknown keyword: cycles. It takes numCycles.");
  expect(() => rateAfter3({ num_cycle: 1 })).toThrow("unknown keyword: num_cycle. It takes numCycles. Did you mean numCycles?"); // prettier-ignore
  expect(() => rateAfter3({ num_cycles: 1, numCycles: 1 })).toThrow("numCycles is given twice, in both spellings");
  expect(() => rateAfter3({ num_cycles: "1" })).toThrow('cosine: num_cycles is "1", but a number is needed.');
  expect(rateAfter3({ num_cycles: null })).toBe(rateAfter3({}));
  expect(() => getScheduler("cosin", steps)).toThrow(
    /unknown name: cosin\. Choose one of linear, cosine.*Did you mean cosine\?/,
  );
  expect(() => getScheduler("greedy", { schedulerSpecificKwargs: { smooth: 1 } })).toThrow(
    "smooth is 1. Choose one of",
  );
  expect(() => getScheduler("linear", { numWarmupSteps: 1 })).toThrow("linear needs numTrainingSteps");
  expect(() => getScheduler("polynomial", steps)).toThrow("polynomial needs lr");
  expect(() => getScheduler("greedy").step()).toThrow("greedy needs a metric");
});

// Made by Transformers: python test/fixtures/make_schedules.py > test/fixtures/schedules.json
const golden = JSON.parse(
  readFileSync(join(dirname(fileURLToPath(import.meta.url)), "../../test/fixtures/schedules.json"), "utf8"),
) as {
  lr: number;
  warmup: number;
  total: number;
  metrics: number[];
  cases: { name: SchedulerName; kwargs: Record<string, unknown>; rates: number[] }[];
};

const camel = (kwargs: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(kwargs).map(([key, v]) => [key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()), v]),
  );

test.each(golden.cases)(
  "$name with $kwargs: Transformers' rates, by both spellings; a saved state continues",
  (given) => {
    const { lr, warmup: numWarmupSteps, total: numTrainingSteps, metrics } = golden;
    const make = (schedulerSpecificKwargs: Record<string, unknown>) =>
      getScheduler(given.name, { lr, numWarmupSteps, numTrainingSteps, schedulerSpecificKwargs });
    const ratesOf = (scheduler: LrScheduler, from = 0) =>
      metrics.slice(from).map((metric) => {
        const { lr } = scheduler;
        scheduler.step(metric);
        return lr;
      });
    const rates = ratesOf(make(given.kwargs));
    for (const [i, want] of given.rates.entries()) expect(rates[i], `step ${i}`).toBeCloseTo(want, 15);
    expect(ratesOf(make(camel(given.kwargs)))).toEqual(rates);
    for (const stop of [1, 7, 13, 20]) {
      const [before, after] = [make(given.kwargs), make(given.kwargs)];
      for (const metric of metrics.slice(0, stop)) before.step(metric);
      after.loadStateDict(JSON.parse(JSON.stringify(before.stateDict())) as Record<string, unknown>);
      expect(ratesOf(after, stop)).toEqual(rates.slice(stop));
    }
    expect(() => make(given.kwargs).loadStateDict({ lr: 1 })).toThrow("the state is another schedule's: it has lr;");
  },
);

test("Transformers' schedules are all there", () => {
  expect(new Set(golden.cases.map(({ name }) => name))).toEqual(new Set(SCHEDULER_NAMES));
});

type ScheduleCase = {
  name: string;
  scheduler: string;
  num_warmup_steps?: number;
  num_training_steps?: number;
  kwargs: Record<string, unknown>;
  metrics?: number[];
  lr_used: number[];
};

const schedules = read<ScheduleCase>("schedules.json");

describe.skipIf(schedules.cases.length === 0)(`Transformers' schedules (skipped when ${optim} is absent)`, () => {
  test.each(schedules.cases.map((c) => [c.name, c] as const))("%s", (_, c) => {
    const scheduler = getScheduler(c.scheduler, {
      lr: schedules.base_lr!,
      ...(c.num_warmup_steps === undefined ? {} : { numWarmupSteps: c.num_warmup_steps }),
      ...(c.num_training_steps === undefined ? {} : { numTrainingSteps: c.num_training_steps }),
      schedulerSpecificKwargs: c.kwargs,
    });
    c.lr_used.forEach((expected, step) => {
      const close = Math.abs(scheduler.lr - expected) <= 1e-12 * Math.abs(expected) + 1e-20;
      expect(close, `step ${step}: ${scheduler.lr} ≠ ${expected}`).toBe(true);
      if (step + 1 < c.lr_used.length) scheduler.step(c.metrics?.[step]);
    });
  });

  test("all names are covered", () => {
    expect(new Set(schedules.cases.map((c) => c.scheduler))).toEqual(new Set(SCHEDULER_NAMES));
  });
});

test("the loss scale halves at an inf and doubles after an interval", () => {
  let state = initGradScaler({ initScale: 8 });
  const seen = [false, false, true, false, false].map((inf) => {
    state = updateGradScaler(state, inf, { growthInterval: 2 });
    return [state.scale, state.growthTracker];
  });
  expect(seen).toEqual([[8, 1], [16, 0], [8, 0], [8, 1], [16, 0]]); // prettier-ignore
});

type ScalerCase = {
  name: string;
  attrs: { init: number; growth: number; backoff: number; interval: number };
  found_inf?: number[];
  scale_after?: number[];
  growth_tracker_after?: number[];
  steps?: number;
  found_inf_steps?: number[];
  scale_changes?: { step: number; scale: number }[];
  final_growth_tracker?: number;
};

const scaler = read<ScalerCase>("grad_scaler.json");

describe.skipIf(scaler.cases.length === 0)(`PyTorch's GradScaler (skipped when ${optim} is absent)`, () => {
  test.each(scaler.cases.map((c) => [c.name, c] as const))("%s", (_, c) => {
    const { init, growth, backoff, interval } = c.attrs;
    const options = { initScale: init, growthFactor: growth, backoffFactor: backoff, growthInterval: interval };
    const flags = c.found_inf ?? Array.from({ length: c.steps! }, (_, i) => Number(c.found_inf_steps!.includes(i)));
    const states = [initGradScaler(options)];
    for (const flag of flags) states.push(updateGradScaler(states.at(-1)!, flag === 1, options));
    const after = states.slice(1);
    if (c.scale_after) expect(after.map((s) => s.scale)).toEqual(c.scale_after);
    if (c.growth_tracker_after) expect(after.map((s) => s.growthTracker)).toEqual(c.growth_tracker_after);
    if (c.scale_changes) {
      const changes = after.flatMap((s, step) => (s.scale === states[step]!.scale ? [] : [{ step, scale: s.scale }]));
      expect(changes).toEqual(c.scale_changes);
      expect(after.at(-1)!.growthTracker).toBe(c.final_growth_tracker);
    }
  });
});
