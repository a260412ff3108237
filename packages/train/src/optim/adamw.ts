import { empty, kernel, live, run, scope, type Params, type Tensor } from "@gpugrad/tensor";
import smallCode from "./adamw-small.wgsl";
import code from "./adamw.wgsl";
import { withDefaults, type OptionRules } from "./check.ts";
import type { NamedParameters, OptimizerOptions, ParamGroup } from "./groups.ts";
import { Optimizer, vectorsOf, type Due } from "./optimizer.ts";

const adamKernel = kernel("train/optim/adamw.wgsl", code);
const smallKernel = kernel("train/optim/adamw-small.wgsl", smallCode);

export interface AdamOptions extends OptimizerOptions {
  /** Decay rates of the averages of the gradient and of its square. */
  betas: readonly [number, number];
  /** Keeps the division from blowing up; added after the bias correction. */
  eps: number;
}

/** Both keep PyTorch's `exp_avg` and `exp_avg_sq`, and differ in what weight decay does: see `adamw.wgsl`. */
class AdamFamily extends Optimizer<AdamOptions> {
  readonly #decoupled: boolean;

  constructor(
    params: NamedParameters | readonly ParamGroup<AdamOptions>[],
    options: Partial<AdamOptions>,
    weightDecay: number,
    decoupled: boolean,
  ) {
    const defaults: AdamOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay };
    const shapesOf = ({ shape }: Tensor) => ({ exp_avg: shape, exp_avg_sq: shape });
    const rules: OptionRules = {
      takes: { betas: "numbers?", eps: "number?" },
      ranges: { betas: { below: 1, count: 2 }, eps: {} },
    };
    super(params, withDefaults(defaults, options), { shapesOf, groupsSmall: true, rules });
    this.#decoupled = decoupled;
  }

  protected override betasOf({ betas }: AdamOptions): readonly [number, number] {
    return betas;
  }

  protected update(due: readonly Due<AdamOptions>[], clock: Tensor, moments: Tensor): void {
    const overrides = { DECOUPLED: this.#decoupled ? 1 : 0 };
    for (const one of due) {
      const { p, g, state, record } = one;
      if (typeof state === "number") continue;
      const vectors = vectorsOf(p.size);
      run(
        adamKernel,
        { p, g, m: state["exp_avg"]!, v: state["exp_avg_sq"]!, clock },
        { vectors, record, ...this.#scalars(one) },
        { threads: vectors, overrides },
      );
    }
    scope(() => {
      const spare = [empty([1]), empty([1]), empty([1]), empty([1])] as const; // for the places of a group that isn't full
      for (const group of groupsOfThree(due.filter(({ state }) => typeof state === "number"))) {
        const [one, two, three] = group;
        const each3 = (of: (each: Due<AdamOptions>) => number): number[] =>
          [0, 1, 2].map((j) => (group[j] ? of(group[j]) : 0));
        const vectors = each3(({ p }) => vectorsOf(p.size));
        run(
          smallKernel,
          {
            ...{ p0: one.p, p1: two?.p ?? spare[0], p2: three?.p ?? spare[1] },
            ...{ g0: one.g, g1: two?.g ?? spare[2], g2: three?.g ?? spare[3] },
            ...{ moments, clock },
          },
          {
            vectors,
            at: each3(({ state }) => state as number),
            records: each3(({ record }) => record),
            ...this.#scalars(one),
          },
          { workgroups: [Math.ceil(Math.max(...vectors) / 64), group.length], overrides },
        );
      }
    });
  }

  /** The numbers that both kernels take. Where the clock has the corrections, the host's are 1. */
  #scalars({ options: { betas, eps }, now, record }: Due<AdamOptions>): Params {
    const [beta1, beta2] = betas;
    const correctionOf = (beta: number): number => (record > 0 ? 1 : 1 - beta ** now().step);
    const decayOf = ({ lr, weightDecay }: AdamOptions): number => (this.#decoupled ? lr * weightDecay : weightDecay);
    return {
      step_size: live(() => [now().options.lr / correctionOf(beta1)]),
      decay: live(() => [decayOf(now().options)]),
      beta1,
      one_minus_beta1: 1 - beta1,
      beta2,
      one_minus_beta2: 1 - beta2,
      inverse_root_correction2: live(() => [1 / Math.sqrt(correctionOf(beta2))]),
      eps,
    };
  }
}

/** Neighbours that take the same step: the same options, and as many steps so far. */
function groupsOfThree(due: readonly Due<AdamOptions>[]): [Due<AdamOptions>, ...Due<AdamOptions>[]][] {
  const groups: [Due<AdamOptions>, ...Due<AdamOptions>[]][] = [];
  for (const one of due) {
    const last = groups.at(-1);
    if (last && last.length < 3 && last[0].options === one.options && last[0].now().step === one.now().step)
      last.push(one);
    else groups.push([one]);
  }
  return groups;
}

/**
 * AdamW: Adam with decoupled weight decay. Defaults are PyTorch's: lr 1e-3, betas (0.9, 0.999), eps 1e-8, weight decay 0.01 (Hugging
 * Face's Trainer passes 0, and {@link noDecayGroups}).
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html and https://arxiv.org/abs/1711.05101
 */
export class AdamW extends AdamFamily {
  constructor(params: NamedParameters | readonly ParamGroup<AdamOptions>[], options: Partial<AdamOptions> = {}) {
    super(params, options, 0.01, true);
  }
}

/**
 * Adam. Weight decay (0 by default) is L2: added to the gradient.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
 */
export class Adam extends AdamFamily {
  constructor(params: NamedParameters | readonly ParamGroup<AdamOptions>[], options: Partial<AdamOptions> = {}) {
    super(params, options, 0, false);
  }
}
