import { defaultGenerator, Generator, type GeneratorState } from "@gpugrad/tensor";
import type { Ranks } from "../parallel/ranks.ts";

/** The random numbers of a run's updates: its own, so that nothing else that draws changes them. They begin where the default generator is. */
export class UpdateRandom {
  state: GeneratorState = defaultGenerator.state;
  readonly #ranks: Pick<Ranks, "rank" | "size">;

  constructor(ranks: Pick<Ranks, "rank" | "size">) {
    this.#ranks = ranks;
  }

  /** Where an update begins. With several ranks, that depends on the update and the rank alone: that is all a checkpoint has to know. */
  of(step: number): GeneratorState {
    const { rank, size } = this.#ranks;
    return size > 1 ? new Generator(0).setState(this.state).fork(`${step} ${rank}`).state : this.state;
  }

  /** Does an update's work, which begins to draw at `state`. */
  drawing<T>(state: GeneratorState, work: () => T): T {
    const outside = defaultGenerator.state;
    defaultGenerator.setState(state);
    try {
      return work();
    } finally {
      if (state === this.state) this.state = defaultGenerator.state;
      defaultGenerator.setState(outside);
    }
  }
}
