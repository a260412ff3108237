import { add, checkOptions, clone, copyInto, GpugradError, keep, mul, scope, type Tensor } from "@gpugrad/tensor";
import { checkedParameters, checkRanges } from "./check.ts";
import type { NamedParameters } from "./groups.ts";

/** How weights are averaged. */
export interface AveragedWeightsOptions {
  /** The share of the old average at each update (0.999), or a function of the updates before this one, or "mean": the plain mean. */
  decay?: number | "mean" | ((updates: number) => number) | undefined;
}

/**
 * An average of weights while they are trained: average ← decay · average + (1 − decay) · weights. The first update copies the weights, as
 * PyTorch's AveragedModel does.
 *
 * ```ts
 * const ema = new AveragedWeights(model.namedParameters(), { decay: 0.999 });
 * // after each optimizer.step():
 * ema.update();
 * ema.swap(); // to evaluate
 * ema.swap(); // to continue
 * ```
 * @see https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema
 */
export class AveragedWeights {
  readonly #parameters: readonly (readonly [string, Tensor])[];
  readonly #averages: Tensor[] = [];
  readonly #decayOf: (updates: number) => number;
  /** Updates so far. */
  updates = 0;

  constructor(params: NamedParameters, options: AveragedWeightsOptions = {}) {
    checkOptions("AveragedWeights", options, { decay: "any" });
    const { decay = 0.999 } = options;
    this.#parameters = checkedParameters("AveragedWeights", params);
    if (typeof decay === "function") this.#decayOf = decay;
    else if (decay === "mean") this.#decayOf = (updates) => updates / (updates + 1);
    else {
      checkRanges("AveragedWeights", { decay }, { decay: { below: 1 + 2 ** -52 } });
      this.#decayOf = () => decay;
    }
  }

  /** Takes the weights as they are now into the average. */
  update(): void {
    if (this.updates === 0) {
      for (const [, parameter] of this.#parameters) this.#averages.push(keep(clone(parameter.detach()), "averages"));
    } else {
      const decay = this.#decayOf(this.updates);
      this.#each((parameter, average) => {
        copyInto(average, add(mul(average, decay), mul(parameter.detach(), 1 - decay)));
      });
    }
    this.updates++;
  }

  /** Exchanges the weights and their averages, in place. Call it again before training continues. */
  swap(): void {
    if (this.updates === 0)
      throw new GpugradError("AveragedWeights.swap: there is no average yet. Call update() first.");
    this.#each((parameter, average) => {
      const before = clone(parameter.detach());
      copyInto(parameter, average);
      copyInto(average, before);
    });
  }

  /** The averages by name; none before the first update. They belong to this object. */
  *namedAverages(): Generator<[name: string, average: Tensor]> {
    for (const [i, average] of this.#averages.entries()) yield [this.#parameters[i]![0], average];
  }

  /** Gives the averages' memory back. */
  dispose(): void {
    for (const average of this.#averages.splice(0)) average.dispose();
    this.updates = 0;
  }

  #each(work: (parameter: Tensor, average: Tensor) => void): void {
    for (const [i, average] of this.#averages.entries()) scope(() => work(this.#parameters[i]![1], average));
  }
}
