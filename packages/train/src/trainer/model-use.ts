import { GpugradError } from "@gpugrad/tensor";

const uses = new WeakMap<object, ModelUse>();

/**
 * What is under way with a model, whichever Trainer began it: one training at most, and work that reads the weights (evaluations,
 * predictions, saving). An update waits for such work, also where nobody awaits it, so all of it sees the weights of one moment.
 */
export class ModelUse {
  #isTraining = false;
  readonly #readers = new Set<Promise<unknown>>();

  static of(model: object): ModelUse {
    const known = uses.get(model);
    if (known) return known;
    const use = new ModelUse();
    uses.set(model, use);
    return use;
  }

  /** Does work that changes the weights. @throws while other such work is under way */
  async training<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isTraining) {
      throw new GpugradError(
        "Trainer: train() was called while the same model is being trained. Await that call first, or train another model.",
      );
    }
    this.#isTraining = true;
    try {
      return await work();
    } finally {
      this.#isTraining = false;
    }
  }

  /** Does work that reads the weights. */
  reading<T>(work: () => Promise<T>): Promise<T> {
    const done = work();
    this.#readers.add(done);
    const forget = (): void => void this.#readers.delete(done);
    done.then(forget, forget);
    return done;
  }

  /** Waits until nothing reads the weights. */
  async settled(): Promise<void> {
    while (this.#readers.size > 0) await Promise.allSettled(this.#readers);
  }
}
