import { GpugradError, kernel, live, run, type Tensor } from "@gpugrad/tensor";
import { withDefaults } from "./check.ts";
import type { NamedParameters, OptimizerOptions, ParamGroup } from "./groups.ts";
import { Optimizer, vectorsOf, type Due } from "./optimizer.ts";
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
    super(params, withDefaults(defaults, options), {
      shapesOf: ({ shape }) => ({ momentum_buffer: shape }),
      rules: {
        takes: { momentum: "number?", dampening: "number?", nesterov: "boolean?" },
        ranges: { momentum: {}, dampening: { from: -Infinity } },
      },
    });
    const { momentum, dampening, nesterov } = this.options;
    if (nesterov && !(momentum > 0 && dampening === 0)) {
      this.dispose();
      throw new GpugradError(
        `SGD: nesterov with momentum ${momentum} and dampening ${dampening}. It needs momentum above 0 and dampening 0.`,
      );
    }
  }

  protected update(due: readonly Due<SgdOptions>[], clock: Tensor): void {
    for (const { p, g, state, now, record, options } of due) {
      const { weightDecay, momentum, dampening, nesterov } = options;
      const isFirst = (): boolean => now().step === 1 && record === 0; // the clock counts for itself
      const vectors = vectorsOf(p.size);
      run(
        sgdKernel,
        { p, g, b: (state as Record<string, Tensor>)["momentum_buffer"]!, clock },
        {
          vectors,
          record,
          lr: live(() => [now().options.lr]),
          weight_decay: weightDecay,
          momentum,
          gain: live(() => [isFirst() || momentum === 0 ? 1 : 1 - dampening]),
        },
        { threads: vectors, overrides: { NESTEROV: nesterov ? 1 : 0 } },
      );
    }
  }
}
