import { basename } from "node:path";
import { fromArray, keep, scope, zeros, type Tensor } from "@gpugrad/tensor";
import {
  accuracyScore,
  Adadelta,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  AMSGrad,
  AveragedWeights,
  classificationReport,
  clipGradNorm,
  clipGradValue,
  confusionMatrix,
  getScheduler,
  GradScaler,
  initGradScaler,
  Lion,
  matthewsCorrcoef,
  NAdam,
  precisionRecallF1,
  precisionRecallF1PerClass,
  RAdam,
  RMSprop,
  SGD,
  updateGradScaler,
  type Average,
  type GradScalerOptions,
  type GradScalerState,
} from "@gpugrad/train";
import { join, list, readJson, toTensor, valuesOf, withTensors, type Golden } from "./files.ts";
import { attempt, idOf, type Result } from "./report.ts";
import { compare, mismatch, same, type Check, type Tolerance, type Values } from "./tolerance.ts";

/** Runs what a file holds, case by case. */
type Runner<C, F = object> = (c: C, file: F, tensors: string) => Promise<Check[]>;

interface OptimizerCase {
  name: string;
  attrs: Record<string, unknown>;
  groups: { params: string[]; weight_decay: number }[];
  lr_per_step: number[];
  outputs: string[];
  tolerance: Record<string, Tolerance>;
}

interface Updates {
  file: string;
  params: string[];
}

const optimizers = {
  ...{ adamw: AdamW, adam: Adam, sgd: SGD, lion: Lion, rmsprop: RMSprop, adagrad: Adagrad, adadelta: Adadelta },
  ...{ adamax: Adamax, nadam: NAdam, radam: RAdam, adam_amsgrad: AMSGrad },
};

/** Options by PyTorch's names, which are ours in camelCase. */
const optionOf = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** Follows an optimizer from the initial parameters through all given gradients. */
const followOptimizer: Runner<OptimizerCase, Updates> = (c, { file, params }, tensors) =>
  withTensors(tensors, async (golden, keys) => {
    const find = finder(golden);
    // Groups say the weight decay; amsgrad is a class here.
    const attrs = Object.entries(c.attrs).filter(([name]) => name !== "weight_decay" && name !== "amsgrad");

    const parameters = new Map<string, Tensor>();
    for (const name of params) {
      const parameter = toTensor(await find(`init.${name}`));
      parameter.requiresGrad = true;
      parameters.set(name, parameter);
    }
    const groups = c.groups.map((group) => ({
      params: group.params.map((name) => [name, parameters.get(name)!] as const),
      options: { weightDecay: group.weight_decay },
    }));
    const given = Object.fromEntries(attrs.map(([name, value]) => [optionOf(name), value]));
    const make = optimizers[file as keyof typeof optimizers] as new (groups: object[], options: object) => AdamW | SGD;
    const optimizer = new make(groups, given);

    const got = new Map<string, Values>();
    for (const [i, rate] of c.lr_per_step.entries()) {
      for (const [name, parameter] of parameters) {
        parameter.grad = keys.includes(`grad.step${i + 1}.${name}`)
          ? toTensor(await find(`grad.step${i + 1}.${name}`))
          : null;
      }
      optimizer.lr = rate;
      optimizer.step();
      optimizer.zeroGrad();
      for (const [name, parameter] of parameters) {
        const key = `step${i + 1}.${name}`;
        if (c.outputs.includes(key)) got.set(key, await valuesOf(parameter));
      }
    }
    for (const [key, state] of optimizer.state()) {
      if (c.outputs.includes(key)) got.set(key, await valuesOf(state));
      state.dispose();
    }
    optimizer.dispose();
    for (const parameter of parameters.values()) parameter.dispose();
    return Promise.all(
      c.outputs.map(async (key) => compare(key, got.get(key), await find(`${c.name}.${key}`), c.tolerance[key]!)),
    );
  });

interface AverageCase extends Tolerance {
  name: string;
  attrs: { kind: string; decay: number | null };
  outputs: string[];
}

/** Averages of weights that are given step by step. */
const ema: Runner<AverageCase, { params: string[]; steps: number }> = (c, { params, steps }, tensors) =>
  withTensors(tensors, async (golden) => {
    const find = finder(golden);
    const at = (step: number, name: string) => find(`weights.step${step}.${name}`);
    const { kind, decay } = c.attrs;
    const parameters = await Promise.all(
      params.map(async (name): Promise<[string, Tensor]> => [name, keep(toTensor(await at(1, name)))]),
    );
    const decays: Record<string, (updates: number) => number> = {
      mean: (updates) => updates / (updates + 1),
      warmup: (updates) => Math.min(decay!, updates / (9 + updates)), // (1 + n) / (10 + n), n from 0 at the second update
      corrected: (updates) => (decay! * (1 - decay! ** updates)) / (1 - decay! ** (updates + 1)), // as if from 0
    };
    const average = new AveragedWeights(parameters, { decay: kind === "mean" ? "mean" : (decays[kind] ?? decay!) });
    const got = new Map<string, Values>();
    for (let step = 1; step <= steps; step++) {
      for (const [name, parameter] of parameters) parameter.write((await at(step, name)).data);
      average.update();
      for (const [name, values] of average.namedAverages()) got.set(`step${step}.${name}`, await valuesOf(values));
    }
    average.dispose();
    for (const [, parameter] of parameters) parameter.dispose();
    return Promise.all(c.outputs.map(async (key) => compare(key, got.get(key), await find(`${c.name}.${key}`), c)));
  });

interface ClipCase extends Tolerance {
  name: string;
  function: string;
  attrs: { max_norm?: number; norm_type?: number; clip_value?: number };
  tensors: number;
  total_norm: number | null;
}

const clip: Runner<ClipCase> = (c, _file, tensors) =>
  withTensors(tensors, async (golden) => {
    const find = finder(golden);
    const parameters: Tensor[] = [];
    for (let i = 0; i < c.tensors; i++) {
      const gradient = toTensor(await find(`${c.name}.grad${i}`));
      const parameter = zeros(gradient.shape);
      parameter.grad = keep(gradient);
      parameters.push(parameter);
    }
    const checks: Check[] = [];
    if (c.function === "clip_grad_norm_") {
      const { max_norm, norm_type } = c.attrs;
      const norm = clipGradNorm(parameters, max_norm!, { normType: norm_type as 2 });
      checks.push(compare("total_norm", await valuesOf(norm), { data: [c.total_norm!], shape: [] }, c));
    } else if (c.function === "clip_grad_value_") clipGradValue(parameters, c.attrs.clip_value!);
    else return [mismatch("function", `not known here: ${c.function}`)];
    for (const [i, { grad }] of parameters.entries()) {
      checks.push(compare(`clipped${i}`, await valuesOf(grad!), await find(`${c.name}.clipped${i}`), c));
    }
    for (const parameter of parameters) parameter.dispose();
    return checks;
  });

interface ScheduleCase {
  scheduler: string;
  num_warmup_steps?: number;
  num_training_steps?: number;
  kwargs: Record<string, unknown>;
  metrics?: number[];
  lr_used: number[];
}

const schedule: Runner<ScheduleCase, { base_lr: number; rtol: number }> = async (c, { base_lr, rtol }) => {
  const scheduler = getScheduler(c.scheduler, {
    lr: base_lr,
    ...(c.num_warmup_steps !== undefined && { numWarmupSteps: c.num_warmup_steps }),
    ...(c.num_training_steps !== undefined && { numTrainingSteps: c.num_training_steps }),
    schedulerSpecificKwargs: c.kwargs,
  });
  const used = c.lr_used.map((_, step) => {
    if (step > 0) scheduler.step(c.metrics?.[step - 1]);
    return scheduler.lr;
  });
  return [compare("lr_used", listed(used), listed(c.lr_used), { rtol, atol: 1e-18 })];
};

/** Short runs are told step by step, long ones by what changes. */
interface ScalerCase {
  attrs: { init: number; growth: number; backoff: number; interval: number };
  found_inf?: number[];
  scale_after: number[];
  growth_tracker_after: number[];
  optimizer_stepped: boolean[];
  steps: number;
  found_inf_steps: number[];
  scale_changes: { step: number; scale: number }[];
  final_growth_tracker: number;
}

/** Follows the scaler on the device and its rule on the host: a gradient is infinite where the case says so. */
const gradScaler: Runner<ScalerCase> = async (c) => {
  const { init, growth, backoff, interval } = c.attrs;
  const options = { initScale: init, growthFactor: growth, backoffFactor: backoff, growthInterval: interval };
  const found = c.found_inf ?? Array.from({ length: c.steps }, (_, step) => Number(c.found_inf_steps.includes(step)));
  const onDevice = await followScaler(options, found);
  let state = initGradScaler(options);
  const onHost = found.map((inf) => ({ ...(state = updateGradScaler(state, inf !== 0, options)), stepped: inf === 0 }));
  return [...scalerChecks("", onDevice, c), ...scalerChecks("rule.", onHost, c)];
};

type ScalerStep = GradScalerState & { stepped: boolean };

/** Each step's gradient is a quarter of the scale, which is finite, but its square may not be; the parameter tells if it was taken. */
async function followScaler(options: GradScalerOptions, found: readonly number[]): Promise<ScalerStep[]> {
  const scaler = new GradScaler(options);
  const p = zeros([2]).requireGrad();
  const optimizer = new SGD([["p", p]], { lr: 1 });
  const steps: ScalerStep[] = [];
  let { scale } = initGradScaler(options);
  let before = 0;
  for (const inf of found) {
    p.grad = fromArray([inf ? Infinity : scale / 4, 0], [2]);
    scope(() => scaler.step(optimizer));
    scaler.update();
    optimizer.zeroGrad();
    const [{ growthTracker, ...now }, after] = await Promise.all([scaler.stateDict(), p.data()]);
    scale = now.scale;
    steps.push({ scale, growthTracker, stepped: after[0] !== before });
    before = after[0]!;
  }
  for (const each of [scaler, optimizer, p]) each.dispose();
  return steps;
}

function scalerChecks(prefix: string, steps: readonly ScalerStep[], { attrs: { init }, ...c }: ScalerCase): Check[] {
  const scales = steps.map((s) => s.scale);
  if (!c.found_inf) {
    const changes = scales.flatMap((scale, step) => (scale === (scales[step - 1] ?? init) ? [] : [{ step, scale }]));
    return [
      same(`${prefix}scale_changes`, changes, c.scale_changes),
      same(`${prefix}final_growth_tracker`, steps.at(-1)!.growthTracker, c.final_growth_tracker),
    ];
  }
  return [
    same(`${prefix}scale_after`, scales, c.scale_after),
    same(
      `${prefix}growth_tracker_after`,
      steps.map((s) => s.growthTracker),
      c.growth_tracker_after,
    ),
    same(
      `${prefix}optimizer_stepped`,
      steps.map((s) => s.stepped),
      c.optimizer_stepped,
    ),
  ];
}

interface MetricsCase {
  /** Class ids; long lists as a string of digits. */
  y_true: number[] | string;
  y_pred: number[] | string;
  labels: number[] | null;
  target_names: string[] | null;
  accuracy: number;
  averages: Record<string, { precision: number; recall: number; f1: number }>;
  per_class: Record<"precision" | "recall" | "f1" | "support", number[]>;
  confusion_matrix: number[][];
  matthews_corrcoef: number;
  classification_report: Record<string, string>;
}

const metrics: Runner<MetricsCase, { rtol: number }> = async (c, { rtol }) => {
  const [truth, predicted] = [c.y_true, c.y_pred].map((ids) => Array.from(ids, Number)) as [number[], number[]];
  const only = c.labels ? { labels: c.labels } : {};
  const tolerance = { rtol, atol: 1e-15 };
  const close = (name: string, got: number[], want: number[]) => compare(name, listed(got), listed(want), tolerance);
  const checks = [
    close("accuracy", [accuracyScore(truth, predicted)], [c.accuracy]),
    close("matthews_corrcoef", [matthewsCorrcoef(truth, predicted)], [c.matthews_corrcoef]),
    same("confusion_matrix", confusionMatrix(truth, predicted, only), c.confusion_matrix),
  ];
  for (const [average, want] of Object.entries(c.averages)) {
    const got = precisionRecallF1(truth, predicted, { ...only, average: average as Average });
    checks.push(close(average, [got.precision, got.recall, got.f1], [want.precision, want.recall, want.f1]));
  }
  const perClass = precisionRecallF1PerClass(truth, predicted, only);
  for (const score of ["precision", "recall", "f1", "support"] as const) {
    checks.push(
      close(
        `per_class.${score}`,
        perClass.map((s) => s[score]),
        c.per_class[score],
      ),
    );
  }
  for (const [digits, want] of Object.entries(c.classification_report)) {
    const names = c.target_names ? { targetNames: c.target_names } : {};
    const options = { ...only, ...names, digits: Number(digits.replace("digits", "")) };
    checks.push(same(`classification_report.${digits}`, classificationReport(truth, predicted, options), want));
  }
  return checks;
};

const runners: Record<string, Runner<never, never>> = {
  ...Object.fromEntries(Object.keys(optimizers).map((name) => [name, followOptimizer])),
  ...{ clip, ema, schedules: schedule, grad_scaler: gradScaler, metrics },
};

/** Optimizers, clipping, schedules, the gradient scaler and metrics. `wanted` is asked with a case's id. */
export async function* optim(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  const group = basename(dir);
  for (const file of list(dir, "json")) {
    const content = readJson<{ cases?: { name: string }[] }>(join(dir, `${file}.json`));
    const run = runners[file];
    for (const c of content.cases ?? []) {
      const result = { group, file, name: c.name };
      if (!wanted(idOf(result))) continue;
      const tensors = join(dir, `${file}.safetensors`);
      if (!run) yield { ...result, checks: [], notCovered: `no ${file} here` };
      else yield { ...result, checks: await attempt(() => run(c as never, { ...content, file } as never, tensors)) };
    }
  }
}

const listed = (data: number[]): Values => ({ data, shape: [data.length] });

const finder = (golden: Golden) => async (name: string) => {
  const tensor = await golden(name);
  if (!tensor) throw new Error(`the file has no tensor ${name}`);
  return tensor;
};
