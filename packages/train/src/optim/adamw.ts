import { kernel, run, type Tensor } from "@gpugrad/tensor";
import code from "./adamw.wgsl";
import { Optimizer, type NamedParameters, type OptimizerOptions, type ParamGroup } from "./optimizer.ts";

const adamKernel = kernel("train/optim/adamw.wgsl", code);

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
    super(params, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay, ...options }, ["exp_avg", "exp_avg_sq"]);
    this.#decoupled = decoupled;
  }

  protected update(
    p: Tensor,
    g: Tensor,
    state: Record<string, Tensor>,
    { lr, betas, eps, weightDecay }: AdamOptions,
    step: number,
  ): void {
    const [beta1, beta2] = betas;
    run(
      adamKernel,
      { p, g, m: state["exp_avg"]!, v: state["exp_avg_sq"]! },
      {
        count: p.size,
        step_size: lr / (1 - beta1 ** step),
        decay: this.#decoupled ? lr * weightDecay : weightDecay,
        beta1,
        one_minus_beta1: 1 - beta1,
        beta2,
        one_minus_beta2: 1 - beta2,
        inverse_root_correction2: 1 / Math.sqrt(1 - beta2 ** step),
        eps,
      },
      { threads: p.size, overrides: { DECOUPLED: this.#decoupled ? 1 : 0 } },
    );
  }
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
