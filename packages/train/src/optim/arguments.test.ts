import { destroy, init, keep, ones, Tensor, undisposed } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GradScaler, initGradScaler, updateGradScaler } from "./grad-scaler.ts";
import * as byMetric from "../schedule/by-metric.ts";
import * as bySteps from "../schedule/by-steps.ts";
import { getScheduler } from "../schedule/get-scheduler.ts";
import { Adafactor } from "./adafactor.ts";
import { Adam, AdamW } from "./adamw.ts";
import { clipFactor, clipGradNorm, clipGradValue } from "./clip.ts";
import { freeze, layerwiseLrDecay } from "./layers.ts";
import { noDecayGroups } from "./groups.ts";
import { SGD } from "./sgd.ts";

let w: Tensor;
beforeAll(async () => {
  await init();
  w = keep(ones([3])).requireGrad();
});
afterAll(destroy);

/** Calls as plain JavaScript makes them. */
const make = (Optimizer: unknown, options?: unknown, params?: unknown) => () =>
  new (Optimizer as new (...args: unknown[]) => { dispose(): void })(
    params === undefined ? [["w", w]] : params,
    options,
  );
const call =
  (work: unknown, ...args: unknown[]) =>
  () =>
    (work as (...args: unknown[]) => unknown)(...args);

describe("optimizers refuse by name", () => {
  test.each<[string, () => unknown, RegExp]>([
    ["an unknown option", make(AdamW, { learningRate: 1 }), /AdamW: there is no option learningRate/],
    ["in snake_case", make(AdamW, { weight_decay: 1 }), /there is no option weight_decay. Did you mean weightDecay\?/],
    ["of another optimizer", make(SGD, { betas: [0.9, 0.9] }), /SGD: there is no option betas/],
    ["of Adafactor", make(Adafactor, { scale_parameter: true }), /Did you mean scaleParameter\?/],
    ["a rate that is a text", make(AdamW, { lr: "1e-3" }), /AdamW: lr is "1e-3", not a number/],
    ["a negative rate", make(Adam, { lr: -1e-3 }), /Adam: lr is -0.001; it has to be at least 0/],
    ["a rate that is NaN", make(SGD, { lr: NaN }), /SGD: lr is NaN/],
    ["an infinite rate", make(SGD, { lr: Infinity }), /SGD: lr is Infinity/],
    ["a beta of 1", make(AdamW, { betas: [0.9, 1] }), /AdamW: betas is 1; it has to be at least 0 and below 1/],
    ["one beta", make(AdamW, { betas: [0.9] }), /AdamW: betas has 1 of 2 numbers/],
    ["betas that are a number", make(AdamW, { betas: 0.9 }), /AdamW: betas is 0.9, not a list of numbers/],
    ["a negative eps", make(AdamW, { eps: -1 }), /AdamW: eps is -1/],
    ["a negative decay", make(AdamW, { weightDecay: -0.1 }), /AdamW: weightDecay is -0.1/],
    ["a negative momentum", make(SGD, { momentum: -0.9 }), /SGD: momentum is -0.9/],
    ["nesterov alone", make(SGD, { nesterov: true }), /SGD: nesterov with momentum 0 and dampening 0. It needs/],
    ["an eps that is NaN", make(Adafactor, { eps: [1e-30, NaN] }), /Adafactor: eps is NaN/],
    ["options that are a number", make(AdamW, 0.1), /AdamW: options is 0.1, not an object/],
    [
      "tensors without names",
      make(AdamW, {}, [keepOne()]),
      /parameter 0 is a tensor without a name. Give model.namedParameters\(\)/,
    ],
    ["no list", make(AdamW, {}, {}), /AdamW: params is \{.*\}, not pairs of a name and a tensor/],
    ["no parameters", make(AdamW, {}, null), /AdamW: params is null, not pairs of a name and a tensor/],
    [
      "a group as in PyTorch",
      make(AdamW, {}, [{ params: [], lr: 1 }]),
      /a group has lr; it takes params and options. Write \{ params, options: \{ lr: … \} \}/,
    ],
    [
      "an option of a group",
      make(AdamW, {}, [{ params: [], options: { learning_rate: 1 } }]),
      /AdamW: a group: there is no option learning_rate/,
    ],
    [
      "a group's value",
      make(AdamW, {}, [{ params: [], options: { weightDecay: NaN } }]),
      /AdamW: a group: weightDecay is NaN/,
    ],
    [
      "parameters of noDecayGroups",
      call(noDecayGroups, [keepOne()]),
      /noDecayGroups: parameter 0 is a tensor without a name/,
    ],
  ])("%s", (_, work, message) => {
    const before = undisposed();
    expect(work).toThrow(message);
    expect(undisposed()).toBe(before);
  });

  function keepOne(): Tensor {
    return Object.create(Tensor.prototype) as Tensor;
  }

  test("what a step is given, and a rate that is set", () => {
    const optimizer = new AdamW([["w", w]], { lr: 0.1 });
    expect(call(optimizer.step.bind(optimizer), { lr: 1 })).toThrow(
      /AdamW.step: it takes no lr. Set optimizer.lr before/,
    );
    expect(call(optimizer.step.bind(optimizer), 0.1)).toThrow(/AdamW.step: options is 0.1/);
    expect(() => (optimizer.lr = NaN)).toThrow(/AdamW.lr: lr is NaN/);
    expect(() => (optimizer.lr = "1" as unknown as number)).toThrow(/AdamW.lr: lr is "1", not a number/);
    expect(optimizer.lr).toBe(0.1);
    optimizer.dispose();
  });

  test("options that are undefined are the defaults", () => {
    const optimizer = new AdamW([["w", w]], { lr: undefined, betas: undefined } as object);
    expect(optimizer.options).toMatchObject({ lr: 1e-3, betas: [0.9, 0.999], weightDecay: 0.01 });
    optimizer.dispose();
  });
});

describe("so do what works on gradients and parameters, schedules and the scaler", () => {
  const steps = { numWarmupSteps: 1, numTrainingSteps: 10 };
  test.each<[string, () => unknown, RegExp]>([
    ["clipGradNorm without a norm", call(clipGradNorm, []), /clipGradNorm: maxNorm is missing/],
    ["clipGradNorm, NaN", call(clipGradNorm, [], NaN), /clipGradNorm: maxNorm is NaN; it has to be at least 0/],
    [
      "clipGradNorm, norm_type",
      call(clipGradNorm, [], 1, { norm_type: 2 }),
      /no option norm_type. Did you mean normType\?/,
    ],
    ["clipFactor, negative", call(clipFactor, [], -1), /clipFactor: maxNorm is -1/],
    [
      "clipFactor of names",
      call(clipFactor, ["w"], 1),
      /clipFactor: parameters\[0\] is "w", not a tensor. Give model.parameters\(\)\./,
    ],
    ["clipGradValue, text", call(clipGradValue, [], "1"), /clipGradValue: clipValue is "1", not a number/],
    [
      "layerwiseLrDecay",
      call(layerwiseLrDecay, [], { decai: 0.9 }),
      /layerwiseLrDecay: there is no option decai. Did you mean decay\?/,
    ],
    [
      "freeze with a text",
      call(freeze, { namedParameters: () => [] }, "bert"),
      /freeze: the patterns are "bert", not a list/,
    ],
    [
      "GradScaler",
      () => new GradScaler({ init_scale: 2 } as object),
      /GradScaler: there is no option init_scale. Did you mean initScale\?/,
    ],
    ["GradScaler, infinite", () => new GradScaler({ initScale: Infinity }), /GradScaler: initScale Infinity/],
    ["initGradScaler", call(initGradScaler, { scale: 1 }), /initGradScaler: there is no option scale/],
    [
      "updateGradScaler",
      call(updateGradScaler, { scale: 1, growthTracker: 0 }, false, { growth: 2 }),
      /there is no option growth/,
    ],
    [
      "getScheduler, option",
      call(getScheduler, "linear", { ...steps, num_warmup_steps: 3 }),
      /getScheduler: there is no option num_warmup_steps. Did you mean numWarmupSteps\?/,
    ],
    [
      "getScheduler, NaN",
      call(getScheduler, "linear", { ...steps, numTrainingSteps: NaN }),
      /getScheduler: numTrainingSteps is NaN/,
    ],
    [
      "getScheduler, negative",
      call(getScheduler, "linear", { ...steps, numWarmupSteps: -1 }),
      /getScheduler: numWarmupSteps is -1/,
    ],
    [
      "getScheduler, rate",
      call(getScheduler, "linear", { ...steps, lr: "1" }),
      /getScheduler: lr is "1", not a number/,
    ],
    [
      "getScheduler, keyword",
      call(getScheduler, "cosine", { ...steps, schedulerSpecificKwargs: { cycles: 1 } }),
      /unknown keyword: cycles/,
    ],
    [
      "a schedule by itself",
      call(bySteps.getLinearScheduleWithWarmup, { steps: 3 }),
      /getLinearScheduleWithWarmup: there is no option steps/,
    ],
    [
      "a missing number of steps",
      call(bySteps.getCosineScheduleWithWarmup, { numWarmupSteps: 1 }),
      /numTrainingSteps is missing/,
    ],
    [
      "a ramp",
      call(bySteps.getWsdSchedule, { numWarmupSteps: 1, numDecaySteps: 1, decayType: "cosin" }),
      /decayType "cosin" is not known; there are linear, cosine, 1-sqrt. Did you mean cosine\?/,
    ],
    [
      "a plateau",
      call(byMetric.getReduceOnPlateauSchedule, 1, { mode: "maximum" }),
      /mode "maximum" is not known; there are min, max/,
    ],
    ["greed", call(byMetric.getGreedySchedule, 1, { min_lr: 1 }), /there is no option min_lr. Did you mean minLr\?/],
  ])("%s", (_, work, message) => expect(work).toThrow(message));

  test("a metric, and a saved state, of another kind", () => {
    const scheduler = getScheduler("reduce_lr_on_plateau", { lr: 1 });
    expect(call(scheduler.step.bind(scheduler), "0.5")).toThrow(/needs a metric, not "0.5"/);
    const linear = getScheduler("linear", { lr: 1, ...steps });
    expect(() => linear.loadStateDict({ ...linear.stateDict(), lastEpoch: "3" })).toThrow(
      /lastEpoch is "3", not number/,
    );
  });
});
