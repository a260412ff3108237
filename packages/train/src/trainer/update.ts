import { noGrad } from "@gpugrad/autograd";
import { checkInputs } from "@gpugrad/bert";
import { add, concat, keep, mul, ones, scope, select, stack, zeros, type Tensor } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { Arrays } from "../data/batch.ts";
import { clipFactor, factorOf, gradientsOf } from "../optim/clip.ts";
import { GradScaler } from "../optim/grad-scaler.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Task, TrainableModel } from "../tasks/task.ts";
import type { Events } from "./events.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { LossFunction } from "./loss.ts";
import { inMode } from "./mode.ts";
import type { Exchange, UpdateHalves, UpdateInputs } from "./recorded-steps.ts";

/** What an update is made of. */
export interface UpdateParts {
  task: Task;
  exchange?: Exchange | undefined;
  model: TrainableModel;
  args: TrainingArguments;
  loss: LossFunction;
  optimizer: Optimizer;
  events: Events;
}

/**
 * An update of the weights on the device, in two halves: the gradients of its batches, and what the optimizer makes of them. Neither reads
 * anything back, so each can be recorded; between them, gradients may be exchanged with others.
 */
export class Update implements UpdateHalves {
  readonly scaler: GradScaler;
  readonly exchange: Exchange | undefined;
  readonly #parts: UpdateParts;
  /** 1 once a loss or gradient was not finite, where that ends the run: the updates that are sent after it are left out, too. */
  readonly #halted: Tensor;

  constructor(parts: UpdateParts) {
    this.#parts = parts;
    this.exchange = parts.exchange;
    this.scaler = new GradScaler({ enabled: parts.args.fp16 });
    this.#halted = keep(zeros([]));
  }

  check(arrays: Arrays): void {
    const { model, task } = this.#parts;
    checkInputs(model.config, { ids: arrays.input_ids.data, types: arrays["token_type_ids"]?.data });
    task.check?.(arrays, model);
  }

  withGradients(): readonly Tensor[] {
    return this.#parts.optimizer.parameters.filter(({ grad }) => grad);
  }

  /** What decides on the host what an update does. The rate, and what the optimizer has counted, a recording asks for at each replay. */
  dependsOn(): string {
    const { model, args, loss, optimizer } = this.#parts;
    const { lr: _, ...options } = optimizer.options;
    const own = [args.maxGradNorm, args.onNonFinite, args.gradientAccumulationLoss, loss.dependsOn(), options];
    return JSON.stringify(own) + fingerprintOf(model);
  }

  /** Adds the gradients of the batches to those of the parameters; gives the loss. */
  gradients({ batches, shares }: UpdateInputs, onGradient?: (parameter: Tensor) => void): Tensor {
    const { model, loss: lossFunction, events } = this.#parts;
    // Callbacks may change gradients after backward: then none is complete before.
    const watch = onGradient && events.innerCallbacks.length === 0 ? { onGradient } : {};
    return scope(() => {
      const losses = inMode(model, true, () =>
        batches.map((inputs, i) =>
          scope(() => {
            const mean = lossFunction.forward(model, inputs).loss!; // there are labels: the loop sees to it
            const loss = shares ? mul(mean, select(shares, 0, i)) : mean;
            this.scaler.scale(loss).backward(i === batches.length - 1 ? watch : {});
            if (i < batches.length - 1) events.emitInner("onSubstepEnd");
            return loss;
          }),
        ),
      );
      events.emitInner("onPreOptimizerStep");
      return noGrad(() => losses.reduce((a, b) => add(a, b)));
    });
  }

  /** Lets the optimizer move the parameters; gives the loss, the gradient norm, the loss scale, and 1 if the update was left out. */
  apply(loss: Tensor): Tensor {
    const { args, optimizer, events } = this.#parts;
    const maxNorm = args.maxGradNorm || Infinity;
    return scope(() => {
      const unless = args.onNonFinite === "ignore" ? undefined : this.#isBad(loss);
      if (args.fp16) {
        const norm = this.scaler.step(optimizer, { maxNorm, ...(unless && { unless }) });
        events.emitInner("onOptimizerStep");
        this.zeroGrad();
        const read = noGrad(() => concat([stack([loss, norm]), this.scaler.report()]));
        this.scaler.update();
        return read;
      }
      const { parameters } = optimizer;
      const by = unless
        ? factorOf(gradientsOf(parameters), { maxNorm, scale: ones([]), found: unless, staysFound: true })
        : { ...clipFactor(parameters, maxNorm), found: zeros([]) };
      optimizer.step(by);
      events.emitInner("onOptimizerStep");
      this.zeroGrad();
      return noGrad(() => stack([loss, by.norm, ones([]), by.found!]));
    });
  }

  /** A scalar on the device that is 1 where the loss is infinite or NaN; where a bad update ends the run, also after one. */
  #isBad(loss: Tensor): Tensor {
    const found = this.#parts.args.onNonFinite === "stop" ? this.#halted : zeros([]);
    factorOf([loss], { maxNorm: Infinity, scale: ones([]), found });
    return found;
  }

  /** Also of parameters that the optimizer doesn't have, which came to need a gradient after it was made. */
  zeroGrad(): void {
    this.#parts.optimizer.zeroGrad();
    this.#parts.model.zeroGrad();
  }

  /** Gives back what it holds on the device. */
  dispose(): void {
    this.scaler.dispose();
    if (!this.#halted.disposed) this.#halted.dispose();
  }
}
