import { GpugradError, type Shape } from "@gpugrad/tensor";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { StateTensor } from "../optim/optimizer-state.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Exchange } from "../trainer/recorded-steps.ts";
import type { Ranks } from "./ranks.ts";

type DiLoCoArguments = Pick<TrainingArguments, "dilocoSteps" | "dilocoLr" | "dilocoMomentum">;

/**
 * DiLoCo (https://arxiv.org/abs/2311.08105), for ranks with a slow network between them: each makes updates of its own, and only once in so many, at the
 * end of a round, do they become one again. What the weights have moved by since its beginning, on average, is taken for a gradient by an outer
 * optimizer, SGD with Nesterov's momentum as PyTorch has it:
 *
 *     g = start − mean(weights);  v ← momentum · v + g;  start ← start − lr · (g + momentum · v)
 *
 * The ranks' optimizer states are averaged, too, so that a checkpoint of one is one of all.
 */
export class DiLoCo {
  readonly #ranks: Ranks;
  readonly #optimizer: Optimizer;
  readonly #args: DiLoCoArguments;
  /** All weights one after the other, as they were when the round began. */
  #start = new Float32Array(0);
  #velocity: Float32Array<ArrayBuffer>;
  /** Updates of this round. */
  #updates = 0;

  constructor(ranks: Ranks, optimizer: Optimizer, args: DiLoCoArguments) {
    this.#ranks = ranks;
    this.#optimizer = optimizer;
    this.#args = args;
    this.#velocity = new Float32Array(optimizer.parameters.reduce((sum, { size }) => sum + size, 0));
  }

  /** Gradients stay as they are; the loss, which is logged, becomes the mean of the ranks'. */
  readonly exchange: Exchange = async (_gradients, loss) => {
    const value = (await loss.data()) as Float32Array;
    await this.#average("the loss", value);
    loss.write(value);
  };

  /** The first round begins: all ranks have the same weights. */
  async begin(): Promise<void> {
    this.#start = await this.#weights();
  }

  /** An update has been made; the round may have been long enough. */
  async updated(): Promise<void> {
    if (++this.#updates === this.#args.dilocoSteps) await this.endRound();
  }

  /** Gives all ranks the same weights and optimizer states; nothing where no update has been made since they had. */
  async endRound(): Promise<void> {
    if (this.#updates === 0) return;
    this.#updates = 0;
    const mean = await this.#weights();
    await this.#average("weights", mean);
    const { dilocoLr: lr, dilocoMomentum: momentum } = this.#args;
    const [start, velocity] = [this.#start, this.#velocity];
    for (let i = 0; i < start.length; i++) {
      const gradient = start[i]! - mean[i]!;
      const v = (velocity[i] = momentum * velocity[i]! + gradient);
      start[i] = start[i]! - lr * (gradient + momentum * v);
    }
    let at = 0;
    for (const parameter of this.#optimizer.parameters) parameter.write(start.subarray(at, (at += parameter.size)));
    await this.#averageState();
  }

  /** The momentum of each parameter, for a checkpoint at the end of a round. */
  state(): Map<string, StateTensor> {
    const { parameters } = this.#optimizer.stateDict();
    let at = 0;
    return new Map(
      this.#optimizer.parameters.map(({ size, shape }, i) => [
        parameters[i]!.name,
        stateOf(this.#velocity.slice(at, (at += size)), shape),
      ]),
    );
  }

  /** Continues where `state` was taken. */
  async load(state: ReadonlyMap<string, StateTensor>): Promise<void> {
    const read = await Promise.all(
      [...this.state()].map(([name, { shape }]) => {
        const saved = state.get(name);
        if (saved?.shape.join() !== shape.join())
          throw new GpugradError(
            `DiLoCo: ${name} is [${shape.join()}], and the checkpoint's outer optimizer has ${saved ? `[${saved.shape.join()}]` : "none"}. It is one of another model.`,
          );
        return saved.bytes();
      }),
    );
    this.#velocity = joined(read.map(floatsOf));
  }

  async #weights(): Promise<Float32Array<ArrayBuffer>> {
    return joined((await Promise.all(this.#optimizer.parameters.map((p) => p.data()))) as Float32Array[]);
  }

  async #averageState(): Promise<void> {
    const { tensors, ...counts } = this.#optimizer.stateDict();
    const averaged = new Map(tensors);
    const names = [...tensors.keys()].filter((name) => name !== "clock"); // it counts steps, of which all have taken as many
    const read = await Promise.all(names.map(async (name) => floatsOf(await tensors.get(name)!.bytes())));
    const all = joined(read);
    await this.#average("optimizer states", all);
    let at = 0;
    names.forEach((name, i) => {
      const own = all.slice(at, (at += read[i]!.length));
      averaged.set(name, stateOf(own, tensors.get(name)!.shape));
    });
    await this.#optimizer.loadStateDict({ ...counts, tensors: averaged });
  }

  /** The mean over the ranks, in place. */
  async #average(what: string, values: Float32Array): Promise<void> {
    await this.#ranks.sum(what, values);
    for (let i = 0; i < values.length; i++) values[i] = values[i]! / this.#ranks.size;
  }
}

const stateOf = ({ buffer }: Float32Array<ArrayBuffer>, shape: Shape): StateTensor => ({
  shape,
  bytes: () => Promise.resolve(new Uint8Array(buffer)),
});

const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer); // wherever in a buffer they lie

function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}
