import { kernel, run, type Tensor } from "@gpugrad/tensor";
import { Optimizer, type NamedParameters, type OptimizerOptions, type ParamGroup } from "./optimizer.ts";
import code from "./sgd.wgsl";

const sgdKernel = kernel("train/optim/sgd.wgsl", code);

export interface SgdOptions extends OptimizerOptions {
  momentum: number;
  dampening: number;
  nesterov: boolean;
}

/**
 * Stochastic gradient descent with momentum, as PyTorch's: the first step's buffer is the gradient itself, without dampening.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
 */
export class SGD extends Optimizer<SgdOptions> {
  constructor(params: NamedParameters | readonly ParamGroup<SgdOptions>[], options: Partial<SgdOptions> = {}) {
    const defaults = { lr: 1e-3, weightDecay: 0, momentum: 0, dampening: 0, nesterov: false };
    super(params, { ...defaults, ...options }, ["momentum_buffer"]);
  }

  protected update(p: Tensor, g: Tensor, state: Record<string, Tensor>, options: SgdOptions, step: number): void {
    const { lr, weightDecay, momentum, dampening, nesterov } = options;
    const gain = step === 1 || momentum === 0 ? 1 : 1 - dampening;
    run(
      sgdKernel,
      { p, g, b: state["momentum_buffer"]! },
      { count: p.size, lr, weight_decay: weightDecay, momentum, gain },
      { threads: p.size, overrides: { NESTEROV: nesterov ? 1 : 0 } },
    );
  }
}
