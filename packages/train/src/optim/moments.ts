import { empty, fill, fromArray, kernel, live, run, scope, type Tensor } from "@gpugrad/tensor";
import { withDefaults, type OptionRules } from "./check.ts";
import type { NamedParameters, OptimizerOptions, ParamGroup } from "./groups.ts";
import code from "./moments.wgsl";
import { Optimizer, vectorsOf, type Due } from "./optimizer.ts";

// The optimizers of moments.wgsl, with PyTorch's names and defaults. Where a GradScaler leaves steps out, their corrections count those too.

const momentsKernel = kernel("train/optim/moments.wgsl", code);

/** Which formula of moments.wgsl, and how. */
interface Rule<Options extends OptimizerOptions> {
  fn: "lion" | "rmsprop" | "adagrad" | "adadelta" | "adamax" | "adam";
  /** PyTorch's names of a, b and c; null where there is none. */
  names: (options: Options) => readonly (string | null)[];
  decoupled?: (options: Options) => boolean;
  flags?: (options: Options) => Record<string, number>;
  /** β₁ and β₂, or what stands in their places. */
  betas: (options: Options) => readonly [number, number];
  /** What changes from step to step. */
  step?: (options: Options, step: number) => Step;
  rules: OptionRules;
}

/** What a rule says of one step. */
interface Step {
  lr?: number;
  ofGradient?: number;
  ofMean?: number;
  root?: number;
  rectified?: boolean;
}

type Given<Options> = NamedParameters | readonly ParamGroup<Options>[];

/** What they have in common: one dispatch for each parameter. */
abstract class MomentsOptimizer<Options extends OptimizerOptions & { eps?: number }> extends Optimizer<Options> {
  readonly #rule: Rule<Options>;

  constructor(params: Given<Options>, options: Partial<Options>, defaults: Options, rule: Rule<Options>) {
    super(params, withDefaults(defaults, options), {
      shapesOf: ({ shape }, own) =>
        Object.fromEntries(rule.names(own).flatMap((name) => (name === null ? [] : [[name, shape] as const]))),
      rules: rule.rules,
    });
    this.#rule = rule;
  }

  protected update(due: readonly Due<Options>[], clock: Tensor): void {
    const { fn, names, decoupled, flags, betas, step } = this.#rule;
    scope(() => {
      const spare = [empty([1]), empty([1])] as const; // for what a formula does not keep
      for (const { p, g, state, now, options } of due) {
        const isDecoupled = decoupled?.(options) ?? false;
        const kept = state as Record<string, Tensor>;
        const [a, b, c] = names(options).map((name) => (name === null ? undefined : kept[name]));
        const [beta1, beta2] = betas(options);
        const current = (): Step => step?.(now().options, now().step) ?? {};
        const vectors = vectorsOf(p.size);
        run(
          momentsKernel,
          { p, g, a: a!, b: b ?? spare[0], c: c ?? spare[1], clock },
          {
            ...{ vectors, beta1, beta2, one_minus_beta1: 1 - beta1, one_minus_beta2: 1 - beta2, eps: options.eps ?? 0 },
            rectified: live(() => [Number(current().rectified ?? true)]),
            lr: live(() => [current().lr ?? now().options.lr]),
            decay: live(() => [now().options.weightDecay * (isDecoupled ? now().options.lr : 1)]),
            of_gradient: live(() => [current().ofGradient ?? 0]),
            of_mean: live(() => [current().ofMean ?? 1]),
            root: live(() => [current().root ?? 1]),
          },
          {
            threads: vectors,
            overrides: {
              ...{ FN: momentsKernel.constants.get(fn.toUpperCase())!, DECOUPLED: Number(isDecoupled) },
              ...flags?.(options),
            },
          },
        );
      }
    });
  }
}

const betaRules: OptionRules = {
  takes: { betas: "numbers?", eps: "number?" },
  ranges: { betas: { below: 1, count: 2 }, eps: {} },
};
const decoupledRules: OptionRules = { ...betaRules, takes: { ...betaRules.takes, decoupledWeightDecay: "boolean?" } };

interface BetaOptions extends OptimizerOptions {
  betas: readonly [number, number];
}

export type LionOptions = BetaOptions;

/**
 * Lion: each step is lr wide in every element, by the sign of a mean of the gradients; weight decay is AdamW's.
 * @see https://arxiv.org/abs/2302.06675
 */
export class Lion extends MomentsOptimizer<LionOptions> {
  constructor(params: Given<LionOptions>, options: Partial<LionOptions> = {}) {
    super(
      params,
      options,
      { lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0 },
      {
        fn: "lion",
        names: () => ["exp_avg"],
        decoupled: () => true,
        betas: ({ betas }) => betas,
        rules: { takes: { betas: "numbers?" }, ranges: { betas: { below: 1, count: 2 } } },
      },
    );
  }
}

export interface RMSpropOptions extends OptimizerOptions {
  /** The decay rate of the mean of g² (0.99). */
  alpha: number;
  /** Added after the root (1e-8). */
  eps: number;
  momentum: number;
  /** Whether the square of g's mean is taken off (false). */
  centered: boolean;
}

/** @see https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html */
export class RMSprop extends MomentsOptimizer<RMSpropOptions> {
  constructor(params: Given<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    const defaults = { lr: 0.01, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false };
    super(params, options, defaults, {
      fn: "rmsprop",
      names: ({ centered, momentum }) => [
        "square_avg",
        centered ? "grad_avg" : null,
        momentum > 0 ? "momentum_buffer" : null,
      ],
      flags: ({ centered, momentum }) => ({ CENTERED: Number(centered), MOMENTUM: Number(momentum > 0) }),
      betas: ({ alpha, momentum }) => [alpha, momentum],
      rules: {
        takes: { alpha: "number?", eps: "number?", momentum: "number?", centered: "boolean?" },
        ranges: { alpha: {}, eps: {}, momentum: {} },
      },
    });
  }
}

export interface AdagradOptions extends OptimizerOptions {
  /** How fast the rate falls: lr / (1 + (t − 1) lrDecay). */
  lrDecay: number;
  /** Where the sums of g² begin. */
  initialAccumulatorValue: number;
  eps: number;
}

/** @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html */
export class Adagrad extends MomentsOptimizer<AdagradOptions> {
  constructor(params: Given<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    const defaults = { lr: 0.01, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10 };
    super(params, options, defaults, {
      fn: "adagrad",
      names: () => ["sum"],
      betas: () => [0, 0],
      step: ({ lr, lrDecay }, t) => ({ lr: lr / (1 + (t - 1) * lrDecay) }),
      rules: {
        takes: { lrDecay: "number?", initialAccumulatorValue: "number?", eps: "number?" },
        ranges: { lrDecay: {}, initialAccumulatorValue: {}, eps: {} },
      },
    });
    for (const sum of this.state().values()) {
      fill(sum, this.options.initialAccumulatorValue); // the same memory
      sum.dispose();
    }
  }
}

export interface AdadeltaOptions extends OptimizerOptions {
  /** The decay rate of the means (0.9). */
  rho: number;
  /** Added inside both roots (1e-6). */
  eps: number;
}

/** @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html */
export class Adadelta extends MomentsOptimizer<AdadeltaOptions> {
  constructor(params: Given<AdadeltaOptions>, options: Partial<AdadeltaOptions> = {}) {
    super(
      params,
      options,
      { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0 },
      {
        fn: "adadelta",
        names: () => ["square_avg", "acc_delta"],
        betas: ({ rho }) => [rho, 0],
        rules: { takes: { rho: "number?", eps: "number?" }, ranges: { rho: {}, eps: {} } },
      },
    );
  }
}

export interface AdamaxOptions extends BetaOptions {
  eps: number;
}

/** Adam by the largest gradient instead of the mean of squares. @see https://arxiv.org/abs/1412.6980 */
export class Adamax extends MomentsOptimizer<AdamaxOptions> {
  constructor(params: Given<AdamaxOptions>, options: Partial<AdamaxOptions> = {}) {
    super(
      params,
      options,
      { lr: 0.002, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
      {
        fn: "adamax",
        names: () => ["exp_avg", "exp_inf"],
        betas: ({ betas }) => betas,
        step: ({ lr, betas }, t) => ({ lr: lr / (1 - betas[0] ** t) }),
        rules: betaRules,
      },
    );
  }
}

export interface RAdamOptions extends BetaOptions {
  eps: number;
  /** Whether weight decay is AdamW's (false: L2). */
  decoupledWeightDecay: boolean;
}

/** Adam that trusts the mean of squares only once there are enough of them. @see https://arxiv.org/abs/1908.03265 */
export class RAdam extends MomentsOptimizer<RAdamOptions> {
  constructor(params: Given<RAdamOptions>, options: Partial<RAdamOptions> = {}) {
    const defaults = { lr: 1e-3, betas: [0.9, 0.999] as const, eps: 1e-8, weightDecay: 0, decoupledWeightDecay: false };
    super(params, options, defaults, {
      fn: "adam",
      names: () => ["exp_avg", "exp_avg_sq"],
      decoupled: ({ decoupledWeightDecay }) => decoupledWeightDecay,
      betas: ({ betas }) => betas,
      step({ betas: [beta1, beta2] }, t) {
        const [correction1, correction2] = [1 - beta1 ** t, 1 - beta2 ** t];
        const most = 2 / (1 - beta2) - 1;
        const length = most - (2 * t * beta2 ** t) / correction2;
        if (length <= 5) return { rectified: false, ofMean: 1 / correction1 };
        const share = ((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length);
        return { ofMean: (Math.sqrt(share) * Math.sqrt(correction2)) / correction1 };
      },
      rules: decoupledRules,
    });
  }
}

export interface NAdamOptions extends RAdamOptions {
  /** How fast the momentum approaches β₁ (0.004). */
  momentumDecay: number;
}

/** The momentum of step t. */
const momentumAt = ({ betas, momentumDecay }: NAdamOptions, t: number): number =>
  betas[0] * (1 - 0.5 * 0.96 ** (t * momentumDecay));

/** The product of the momentums up to step t. */
function momentums(options: NAdamOptions, t: number): number {
  let product = 1;
  for (let k = 1; k <= t && product > 1e-12; k++) product *= momentumAt(options, k);
  return product;
}

/** Adam with Nesterov's momentum. @see https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ */
export class NAdam extends MomentsOptimizer<NAdamOptions> {
  constructor(params: Given<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    const defaults: NAdamOptions = {
      ...{ lr: 0.002, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
      ...{ momentumDecay: 0.004, decoupledWeightDecay: false },
    };
    super(params, options, defaults, {
      fn: "adam",
      names: () => ["exp_avg", "exp_avg_sq"],
      decoupled: ({ decoupledWeightDecay }) => decoupledWeightDecay,
      betas: ({ betas }) => betas,
      step(own, t) {
        const [now, next, product] = [momentumAt(own, t), momentumAt(own, t + 1), momentums(own, t)];
        return {
          ofGradient: (1 - now) / (1 - product),
          ofMean: next / (1 - product * next),
          root: 1 / Math.sqrt(1 - own.betas[1] ** t),
        };
      },
      rules: {
        takes: { ...decoupledRules.takes, momentumDecay: "number?" },
        ranges: { ...decoupledRules.ranges, momentumDecay: {} },
      },
    });
  }

  /** With `mu_product`, which PyTorch keeps and here follows from the steps. */
  override state(): Map<string, Tensor> {
    const all = super.state();
    for (const { name, steps } of this.stateDict().parameters)
      all.set(`mu_product.${name}`, fromArray([momentums(this.options, steps)], []));
    return all;
  }
}

export type AMSGradOptions = RAdamOptions;

/** Adam by the largest mean of squares so far: PyTorch's Adam, or AdamW, with `amsgrad`. @see https://openreview.net/forum?id=ryQu7f-RZ */
export class AMSGrad extends MomentsOptimizer<AMSGradOptions> {
  constructor(params: Given<AMSGradOptions>, options: Partial<AMSGradOptions> = {}) {
    const defaults = { lr: 1e-3, betas: [0.9, 0.999] as const, eps: 1e-8, weightDecay: 0, decoupledWeightDecay: false };
    super(params, options, defaults, {
      fn: "adam",
      names: () => ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
      decoupled: ({ decoupledWeightDecay }) => decoupledWeightDecay,
      flags: () => ({ AMSGRAD: 1 }),
      betas: ({ betas }) => betas,
      step: ({ betas }, t) => ({ ofMean: 1 / (1 - betas[0] ** t), root: 1 / Math.sqrt(1 - betas[1] ** t) }),
      rules: decoupledRules,
    });
  }
}
