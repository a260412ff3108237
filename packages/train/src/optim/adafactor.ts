import { empty, GpugradError, kernel, live, run, scope, showShape, type Shape, type Tensor } from "@gpugrad/tensor";
import columnsCode from "./adafactor-columns.wgsl";
import columnsMeanCode from "./adafactor-columns-mean.wgsl";
import matrixCode from "./adafactor-matrix.wgsl";
import rowsCode from "./adafactor-rows.wgsl";
import scaleCode from "./adafactor-scale.wgsl";
import squaresCode from "./adafactor-squares.wgsl";
import vectorCode from "./adafactor-vector.wgsl";
import { checkRules, withDefaults, type OptionRules } from "./check.ts";
import type { NamedParameters, OptimizerOptions, ParamGroup } from "./groups.ts";
import { Optimizer, type Due } from "./optimizer.ts";

const rowsKernel = kernel("train/optim/adafactor-rows.wgsl", rowsCode);
const columnsKernel = kernel("train/optim/adafactor-columns.wgsl", columnsCode);
const columnsMeanKernel = kernel("train/optim/adafactor-columns-mean.wgsl", columnsMeanCode);
const squaresKernel = kernel("train/optim/adafactor-squares.wgsl", squaresCode);
const scaleKernel = kernel("train/optim/adafactor-scale.wgsl", scaleCode);
const matrixKernel = kernel("train/optim/adafactor-matrix.wgsl", matrixCode);
const vectorKernel = kernel("train/optim/adafactor-vector.wgsl", vectorCode);

const RULES: OptionRules = {
  takes: {
    ...{ eps: "numbers?", clipThreshold: "number?", decayRate: "number?", beta1: "number|null?" },
    ...{ scaleParameter: "boolean?", relativeStep: "boolean?", warmupInit: "boolean?" },
  },
  ranges: { eps: { count: 2 }, clipThreshold: {}, decayRate: { from: -Infinity }, beta1: { below: 1 } },
};

/** Rows per partial sum of adafactor-columns.wgsl, and columns per workgroup. */
const CHUNK = 64;

/** Rows per workgroup of adafactor-rows.wgsl and adafactor-squares.wgsl. */
const ROWS = 4;

/** Transformers' arguments; defaults in brackets. */
export interface AdafactorOptions extends OptimizerOptions {
  /** Added to squared gradients, and the least that a parameter's scale counts ([1e-30, 1e-3]). */
  eps: readonly [number, number];
  /** An update's root mean square is scaled down to this (1). */
  clipThreshold: number;
  /** Averages of squares weigh the newest with t to this power: −0.8. */
  decayRate: number;
  /** Decay rate of the average of updates; null: none is kept. */
  beta1: number | null;
  /** Multiply the rate by the parameter's root mean square (true). */
  scaleParameter: boolean;
  /** A rate of its own, min(10⁻², 1/√t), instead of `lr` (true). */
  relativeStep: boolean;
  /** With `relativeStep`: begin at 10⁻⁶ and rise with t (false). */
  warmupInit: boolean;
}

/**
 * Adafactor, as Transformers': of a matrix of R × C numbers it keeps R + C mean squares, so it takes hardly more memory than the weights do.
 * By default it sets its own rate; with a schedule, as the Trainer has it, turn that off:
 *
 * ```ts
 * new Adafactor(model.namedParameters(), { lr: 1e-3, scaleParameter: false, relativeStep: false });
 * ```
 * @throws for `lr` together with `relativeStep`, or neither; for `warmupInit` without `relativeStep`; for parameters of three dimensions
 * @see https://huggingface.co/docs/transformers/main_classes/optimizer_schedules#transformers.Adafactor and https://arxiv.org/abs/1804.04235
 */
export class Adafactor extends Optimizer<AdafactorOptions> {
  constructor(
    params: NamedParameters | readonly ParamGroup<AdafactorOptions>[],
    options: Partial<AdafactorOptions> = {},
  ) {
    checkRules("Adafactor", options, RULES);
    const { relativeStep = true, warmupInit = false, lr } = options;
    if (relativeStep === (lr !== undefined)) {
      throw new GpugradError(
        `Adafactor: lr is ${lr}, relativeStep ${relativeStep}. Give lr, and relativeStep: false; or neither, for a rate of its own.`,
      );
    }
    if (warmupInit && !relativeStep) throw new GpugradError("Adafactor: warmupInit needs relativeStep.");
    const defaults: AdafactorOptions = {
      lr: 1,
      weightDecay: 0,
      eps: [1e-30, 1e-3],
      clipThreshold: 1,
      decayRate: -0.8,
      beta1: null,
      scaleParameter: true,
      relativeStep: true,
      warmupInit: false,
    };
    super(params, withDefaults(defaults, options), { shapesOf, rules: RULES });
  }

  protected update(due: readonly Due<AdafactorOptions>[], clock: Tensor): void {
    for (const one of due)
      scope(() => {
        if (one.p.rank < 2) stepOfVector(one, clock);
        else if (one.p.size > 0) stepOfMatrix(one, clock);
      });
  }
}

function shapesOf({ shape }: Tensor, { beta1 }: AdafactorOptions): Record<string, Shape> {
  if (shape.length > 2)
    throw new GpugradError(`Adafactor: a parameter is ${showShape(shape)}; it takes vectors and matrices. Use AdamW.`);
  return {
    ...(beta1 !== null && { exp_avg: shape }),
    ...(shape.length < 2
      ? { exp_avg_sq: shape }
      : { exp_avg_sq_row: shape.slice(0, 1), exp_avg_sq_col: shape.slice(1) }),
  };
}

/** What the kernels know of a step, under their names: those of the averages of squares, and those of the rate. */
function numbersOf({
  options: { eps, decayRate, clipThreshold, weightDecay, beta1 },
  now,
  record,
}: Due<AdafactorOptions>) {
  const t = live(() => [now().step] as const);
  return {
    time: { record, t },
    squares: { decay_rate: decayRate, eps: eps[0] },
    rate: {
      lr: live(() => [now().options.lr]),
      eps2: eps[1],
      clip_threshold: clipThreshold,
      weight_decay: weightDecay,
    },
    momentum: { beta1: beta1 ?? 0, one_minus_beta1: 1 - (beta1 ?? 0) },
  };
}

function overridesOf({ scaleParameter, relativeStep, warmupInit }: AdafactorOptions): Record<string, number> {
  return { SCALE: Number(scaleParameter), RELATIVE: Number(relativeStep), WARMUP: Number(warmupInit) };
}

function stepOfVector(one: Due<AdafactorOptions>, clock: Tensor): void {
  const { p, g, options } = one;
  const { exp_avg: m = empty([1]), exp_avg_sq: v } = one.state as Record<string, Tensor>;
  const { time, squares, rate, momentum } = numbersOf(one);
  run(
    vectorKernel,
    { p, g, v: v!, m, clock },
    { size: p.size, ...time, ...squares, ...rate, ...momentum },
    { workgroups: 1, overrides: { ...overridesOf(options), MOMENTUM: options.beta1 === null ? 0 : 1 } },
  );
}

function stepOfMatrix(one: Due<AdafactorOptions>, clock: Tensor): void {
  const { p, g, options } = one;
  const { exp_avg: m = empty([1]), exp_avg_sq_row: row, exp_avg_sq_col: col } = one.state as Record<string, Tensor>;
  const [r, c] = [row!, col!];
  const { time, squares, rate, momentum } = numbersOf(one);
  const overrides = overridesOf(options);
  const [rows, cols] = p.shape as [number, number];
  const chunks = Math.ceil(rows / CHUNK);
  const rowGroups = Math.ceil(rows / ROWS);
  const partials = empty([chunks, cols]);
  const sums = empty([rows, 2]);
  const scale = empty([2]);
  run(rowsKernel, { g, r, clock }, { rows, cols, ...time, ...squares }, { workgroups: rowGroups });
  run(columnsKernel, { g, partials, clock }, { rows, cols }, { workgroups: [Math.ceil(cols / CHUNK), chunks] });
  run(columnsMeanKernel, { partials, c, clock }, { rows, cols, chunks, ...time, ...squares }, { threads: cols });
  run(
    squaresKernel,
    { g, p, r, c, squares: sums, clock },
    { rows, cols },
    { workgroups: rowGroups, overrides: { SCALE: overrides["SCALE"]! } },
  );
  run(scaleKernel, { r, squares: sums, scale, clock }, { rows, cols, ...time, ...rate }, { workgroups: 1, overrides });
  run(
    matrixKernel,
    { p, g, m, r, c, scale, clock },
    { rows, cols, ...momentum },
    { workgroups: rows, overrides: { MOMENTUM: options.beta1 === null ? 0 : 1 } },
  );
}
