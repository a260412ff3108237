import { noGrad } from "@gpugrad/autograd";
import {
  add,
  argumentCheck,
  copyInto,
  fromArray,
  GpugradError,
  indexSelect,
  keep,
  mul,
  reshape,
  scope,
  showShape,
  slice,
  zeros,
  type Tensor,
} from "@gpugrad/tensor";
import { DataError } from "../errors.ts";
import { clipFactor } from "../optim/clip.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { shuffledIndices } from "../random.ts";

/** What {@link fit} trains: a Module of `@gpugrad/nn`, or something like it. */
export interface FitModel {
  forward(x: Tensor): Tensor;
  readonly training: boolean;
  train(mode?: boolean): unknown;
}

/** Inputs and what is wanted of them, row by row: [N, …] each. */
export type FitData = readonly [x: Tensor, y: Tensor];

/** An epoch, as {@link fit} reports it. All numbers are means over rows. */
export interface FitEpoch {
  /** From 1. */
  epoch: number;
  /** Of training, while weights changed. */
  loss: number;
  /** The loss and the metrics of the validation data, if there are any. */
  validation?: { readonly loss: number; readonly [metric: string]: number };
}

/** Where {@link fit} is, for a progress line. */
export interface FitStep {
  epoch: number;
  /** From 1, of this epoch's `steps`. */
  step: number;
  steps: number;
}

/** Options of {@link fit}. */
export interface FitOptions {
  /** The mean over a batch's rows of how wrong the output is: a scalar. */
  loss: (output: Tensor, y: Tensor) => Tensor;
  /** Of the model's parameters. It stays yours: dispose it after the last fit. */
  optimizer: Optimizer;
  /** Times that each row is seen (1). */
  epochs?: number;
  /** Rows of a step (32); the last one of an epoch has what is left. */
  batchSize?: number;
  /** A new order for each epoch, given by `seed` and the epoch alone (true). */
  shuffle?: boolean;
  /** Default 42, as in the Trainer. `manualSeed` decides on weights and dropout. */
  seed?: number;
  /** Gradients are clipped to this norm, all together. Default: not at all. */
  maxGradNorm?: number;
  /** Evaluated after each epoch, in evaluation mode. */
  validation?: FitData;
  /** Means over a batch's rows of the validation data, by name: scalars. */
  metrics?: Readonly<Record<string, (output: Tensor, y: Tensor) => Tensor>>;
  /** After each epoch; training ends when it returns false. May be asynchronous. */
  onEpoch?: (epoch: FitEpoch) => unknown;
  /** After each step was recorded, which the GPU may not have done yet. */
  onStep?: (step: FitStep) => unknown;
}

const checkFit = argumentCheck("fit", {
  model: "object",
  data: "tensors",
  options: {
    ...{ loss: "function", optimizer: "object", epochs: "size?", batchSize: "size?", shuffle: "boolean?" },
    ...{ seed: "index?", maxGradNorm: "number from 0?", validation: "tensors?", metrics: "object?" },
    ...{ onEpoch: "function?", onStep: "function?" },
  },
});

/** @throws unless these are two tensors of as many rows, of which there are some */
function checkData(name: string, data: readonly Tensor[]): void {
  const [x, y] = data;
  if (!x || !y || data.length > 2)
    throw new DataError(`fit: ${name} has length ${data.length}; it is a pair of tensors, [x, y].`);
  if (x.rank === 0 || y.rank === 0 || x.shape[0] !== y.shape[0])
    throw new DataError(
      `fit: ${name} is x ${showShape(x.shape)} and y ${showShape(y.shape)}. Both have the rows first, as many of them.`,
    );
  if (x.shape[0] === 0) throw new DataError(`fit: ${name} has no rows: x is ${showShape(x.shape)}.`);
}

/** A scalar that a function of the user's gives. */
function scalarOf(name: string, value: Tensor | undefined): Tensor {
  if (value?.size === 1) return reshape(value, []);
  const given = value ? showShape(value.shape) : "nothing";
  throw new GpugradError(`fit: ${name} gives ${given}, not one number. Take the mean over the batch.`);
}

/** Sums of a few numbers over batches, on the device until they are read. */
class Means {
  readonly #names: readonly string[];
  readonly #sums: Tensor[];
  #rows = 0;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#sums = names.map(() => keep(zeros([])));
  }

  /** Adds the means of a batch. Call it in a scope. */
  add(values: readonly Tensor[], rows: number): void {
    values.forEach((value, i) => copyInto(this.#sums[i]!, add(this.#sums[i]!, mul(value.detach(), rows))));
    this.#rows += rows;
  }

  async read(): Promise<Record<string, number>> {
    const sums = await Promise.all(this.#sums.map((sum) => sum.item()));
    return Object.fromEntries(this.#names.map((name, i) => [name, sums[i]! / this.#rows]));
  }

  dispose(): void {
    for (const sum of this.#sums) sum.dispose();
  }
}

/** Rows `order[from]` up to `to` of both; rows in their order are as many tensors less. */
function batchOf([x, y]: FitData, order: Int32Array | undefined, from: number, to: number): FitData {
  if (!order) return [slice(x, [[from, to]]), slice(y, [[from, to]])];
  const ids = fromArray(order.slice(from, to), [to - from], "i32");
  return [indexSelect(x, 0, ids), indexSelect(y, 0, ids)];
}

/**
 * Trains a model on tensors: batches in a new order each epoch, loss, backward, optimizer. What it makes is disposed; the model is left in the
 * mode that it was in.
 *
 * ```ts
 * const epochs = await fit(model, [x, y], {
 *   loss: mseLoss,
 *   optimizer,
 *   epochs: 20,
 *   validation: [x, y],
 *   onEpoch: ({ epoch, loss, validation }) => console.log(epoch, loss, validation?.loss),
 * });
 * ```
 *
 * For texts, checkpoints, schedules and reports there is the {@link Trainer}.
 * @returns each epoch's losses
 * @throws DataError where data don't fit, or the loss is no longer finite
 */
export async function fit(model: FitModel, data: FitData, options: FitOptions): Promise<FitEpoch[]> {
  checkFit([model, data, options]);
  const { loss, optimizer, epochs = 1, batchSize = 32, shuffle = true, seed = 42, maxGradNorm } = options;
  const { validation, metrics = {}, onEpoch, onStep } = options;
  checkData("data", data);
  if (validation) checkData("validation", validation);
  const rows = data[0].shape[0]!;
  const steps = Math.ceil(rows / batchSize);
  const mode = model.training;

  const train = async (epoch: number): Promise<number> => {
    model.train(true);
    const means = new Means(["loss"]);
    const order = shuffle ? shuffledIndices(rows, seed, epoch - 1) : undefined;
    try {
      for (let step = 1; step <= steps; step++) {
        scope(() => {
          const [x, y] = batchOf(data, order, (step - 1) * batchSize, Math.min(rows, step * batchSize));
          const value = scalarOf("loss", loss(model.forward(x), y));
          value.backward();
          optimizer.step(maxGradNorm === undefined ? undefined : clipFactor(optimizer.parameters, maxGradNorm));
          optimizer.zeroGrad();
          means.add([value], x.shape[0]!);
        });
        await onStep?.({ epoch, step, steps });
      }
      return (await means.read())["loss"]!;
    } finally {
      means.dispose();
    }
  };

  const evaluate = async (of: FitData): Promise<{ loss: number; [metric: string]: number }> => {
    model.train(false);
    const measures = Object.entries({ ...metrics, loss });
    const means = new Means(measures.map(([name]) => name));
    try {
      for (let from = 0; from < of[0].shape[0]!; from += batchSize)
        scope(() =>
          noGrad(() => {
            const [x, y] = batchOf(of, undefined, from, Math.min(of[0].shape[0]!, from + batchSize));
            const output = model.forward(x);
            means.add(measures.map(([name, measure]) => scalarOf(name, measure(output, y))), x.shape[0]!); // prettier-ignore
          }),
        );
      return (await means.read()) as { loss: number };
    } finally {
      means.dispose();
    }
  };

  const history: FitEpoch[] = [];
  try {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const value = await train(epoch);
      if (!Number.isFinite(value))
        throw new DataError(
          `fit: the mean loss of epoch ${epoch} is ${value}. Lower lr, set maxGradNorm to 1, or look for NaN in the data.`,
        );
      const done: FitEpoch = { epoch, loss: value, ...(validation && { validation: await evaluate(validation) }) };
      history.push(done);
      if ((await onEpoch?.(done)) === false) break;
    }
  } finally {
    model.train(mode);
  }
  return history;
}
