import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { noGrad, registerHook } from "@gpugrad/autograd";
import {
  atThisPoint,
  copyInto,
  crossEntropy,
  destroy,
  device,
  init,
  keep,
  manualSeed,
  mul,
  ones,
  scope,
  undisposed,
  type Tensor,
} from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tinyModel, tokenizer } from "../../test/tiny-task.ts";
import { Dataset, type Row } from "../data/dataset.ts";
import type { AdamW } from "../optim/adamw.ts";
import type { StepEvent, TrainerCallback } from "./callbacks.ts";
import type { Exchange } from "./recorded-steps.ts";
import { Trainer } from "./trainer.ts";
import type { TrainerOptions } from "./trainer-options.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** Batches of four come in three shapes, with and without padding, again and again. */
const rows: Row[] = Array.from({ length: 48 }, (_, i) => {
  const length = [5, 7, 5, 6][Math.floor(i / 4) % 4]! - (i % 8 === 5 ? 1 : 0);
  return { text: "abcdefghij".slice(i % 3, (i % 3) + length), label: i % 2 };
});

async function trainedWith(
  args: Partial<TrainingArguments>,
  { labels = 2, rows: own = rows, exchange }: { labels?: number; rows?: Row[]; exchange?: Exchange } = {},
): Promise<{ events: StepEvent[]; weights: Uint8Array[]; submits: number }> {
  manualSeed(1);
  const sizes = {
    vocab_size: 30,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 32,
  };
  const model = BertForSequenceClassification.fromConfig(
    new BertConfig({ ...sizes, max_position_embeddings: 16, num_labels: labels, initializer_range: 0.1 }), // dropout is 0.1
  );
  const events: StepEvent[] = [];
  const submits: number[] = [];
  const trainer = new Trainer({
    model,
    tokenizer,
    ...(exchange && { services: { exchange } }),
    trainDataset: new Dataset({
      name: "letters",
      length: own.length,
      labels: { numLabels: labels },
      row: (i) => Promise.resolve(own[i]!),
    }),
    args: {
      ...{ learningRate: 5e-3, perDeviceTrainBatchSize: 4, numTrainEpochs: 2, trainSamplingStrategy: "sequential" },
      ...args,
    },
    callbacks: [
      {
        onStepResult: (_args, _state, _control, { result }) =>
          void (events.push(result!), submits.push(device().queue.batch)),
      },
    ],
  });
  await trainer.train();
  const weights = await Promise.all(model.parameters().map((p) => p.bytes()));
  model.dispose();
  return { events, weights, submits: submits.at(-1)! - submits.at(-11)! };
}

const numbersOf = (events: StepEvent[]) =>
  events.map(({ loss, gradNorm, learningRate, lossScale, skippedSteps }) => {
    return { loss, gradNorm, learningRate, lossScale, skippedSteps };
  });

describe("recorded steps", () => {
  test("give what called ones give, byte for byte: shapes in turn, padding, dropout, schedule", async () => {
    const before = undisposed();
    const called = await trainedWith({ recordSteps: false });
    const { allocatedBytes } = device().pool;
    const recorded = await trainedWith({ recordSteps: true });
    expect(device().pool.allocatedBytes).toBeLessThan(1.05 * allocatedBytes); // recordings share their memory with the rest
    expect(numbersOf(recorded.events)).toEqual(numbersOf(called.events));
    expect(recorded.weights).toEqual(called.weights);
    expect(recorded.submits, "submits of ten steps, two of which are under way at a time").toBeLessThanOrEqual(11);
    expect(undisposed()).toBe(before);
  });

  test("also in mixed precision, where a step is left out", async () => {
    const bad = rows.map((row, i) => ({ ...row, label: i === 40 ? 3e38 : row.label! })); // its squared error overflows
    const called = await trainedWith({ recordSteps: false, fp16: true, onNonFinite: "skip" }, { labels: 1, rows: bad });
    const recorded = await trainedWith(
      { recordSteps: true, fp16: true, onNonFinite: "skip" },
      { labels: 1, rows: bad },
    );
    expect(recorded.events.at(-1)!.skippedSteps).toBe(2);
    expect(numbersOf(recorded.events)).toEqual(numbersOf(called.events));
    expect(recorded.weights).toEqual(called.weights);
  });

  const halved = (gradients: readonly Tensor[]): void =>
    scope(() => noGrad(() => gradients.forEach((g) => copyInto(g, mul(g, 0.5)))));
  const halveLater: Exchange = async (gradients) => {
    await gradients[0]!.data(); // as one that goes through the host
    halved(gradients);
  };
  /** Of each update, how many gradients were read before backward was over. */
  const early: number[] = [];
  const read: { gradient: Tensor; values: Promise<ArrayLike<number>> }[] = [];
  const halveEarly: Exchange = async (gradients) => {
    const done = read.splice(0);
    early.push(done.length / gradients.length);
    for (const { gradient, values } of done) gradient.write(Array.from(await values, (value) => 0.5 * value));
    halved(gradients.filter((one) => !done.some(({ gradient }) => gradient.storage === one.storage)));
  };
  halveEarly.watch = (gradientOf) => (parameter) =>
    atThisPoint(() => {
      const gradient = gradientOf(parameter);
      read.push({ gradient, values: gradient.data() });
    });
  test.each([
    ["at once", halved],
    ["through the host", halveLater],
    ["during backward", halveEarly],
  ])("gradients may be exchanged between the halves of an update, %s, recorded or not", async (_, exchange) => {
    const before = undisposed();
    const sgd = { optim: "sgd", maxGradNorm: 0, maxSteps: 12, learningRate: 0.125 } as const;
    const half = await trainedWith({ ...sgd, learningRate: 0.0625 }); // a power of two: the same bits
    for (const recordSteps of [false, true]) {
      const exchanged = await trainedWith({ ...sgd, recordSteps }, { exchange });
      expect(exchanged.events.map(({ loss }) => loss)).toEqual(half.events.map(({ loss }) => loss));
      expect(exchanged.weights).toEqual(half.weights);
    }
    expect(undisposed()).toBe(before);
    if (exchange !== halveEarly) return;
    expect(new Set(early.slice(0, 12)), "all of them, where updates are called").toEqual(new Set([1]));
    expect(early.slice(12).filter((share) => share < 1), "updates that are recorded, one for each shape").toEqual([0, 0, 0]); // prettier-ignore
  });

  test("a gradient hook is refused: its JavaScript would not run again", async () => {
    const model = tinyModel();
    registerHook(model.classifier.bias, () => undefined);
    const trainer = new Trainer({ model, tokenizer, trainDataset: Dataset.fromRows(rows), args: { maxSteps: 20 } });
    await expect(trainer.train()).rejects.toThrow("record: a gradient hook is called inside the recorded work");
    model.dispose();
  });

  test("ids and classes beyond the config are named at every step", async () => {
    const bad = rows.map((row, i) => ({ ...row, label: i === 45 ? 7 : row.label! }));
    await expect(trainedWith({}, { rows: bad })).rejects.toThrow("labels: 7 at index 1, but the model has 2 labels");
  });
});

describe("what a recorded step depends on may change in the middle of a run: it does what a called one does", () => {
  type Changed = Parameters<NonNullable<TrainerCallback["onStepEnd"]>>;
  const classifierOf = ([, , , { model }]: Changed): BertForSequenceClassification =>
    model as BertForSequenceClassification;

  /** The weights after 20 updates of one shape, 12 of them after the change. */
  async function weightsAfter(
    recordSteps: boolean,
    change: (...args: Changed) => void = () => undefined,
    { own = {}, ...options }: Partial<TrainerOptions> & { own?: Partial<TrainingArguments> } = {},
  ): Promise<string> {
    const model = tinyModel({ dropout: 0.2 });
    const atEight: TrainerCallback = {
      onStepEnd: (...args) => void (args[1].globalStep === 8 && change(...args)),
    };
    const trainer = new Trainer({
      ...{ model, tokenizer, trainDataset: Dataset.fromRows(rows.filter(({ text }) => text.length === 5)) },
      args: { learningRate: 5e-3, perDeviceTrainBatchSize: 4, maxSteps: 20, recordSteps, ...own },
      callbacks: [atEight],
      ...options,
    });
    await trainer.train();
    const bytes = await Promise.all(model.parameters().map((p) => p.bytes()));
    model.dispose();
    return bytes.map((each) => Buffer.from(each).toString("base64")).join();
  }

  const changes: Record<string, (...args: Changed) => void> = {
    "a parameter is frozen": (...args) => void (classifierOf(args).classifier.weight.requiresGrad = false),
    "all but the classifier is frozen": (...args) => {
      for (const [name, p] of classifierOf(args).namedParameters()) p.requiresGrad = name.startsWith("classifier");
    },
    "a dropout's p": (...args) => void Object.assign(classifierOf(args).dropout, { p: 0.5 }),
    "a parameter is replaced": (...args) =>
      void Object.assign(classifierOf(args).classifier, { bias: keep(ones([2])).requireGrad() }),
    "a forward is replaced": (...args) => {
      const { classifier } = classifierOf(args);
      const forward = classifier.forward.bind(classifier);
      classifier.forward = (x: Tensor) => mul(forward(x), 2);
    },
    "label smoothing": (args) => void (args.labelSmoothingFactor = 0.3),
    "weights of classes": (args) => void (args.classWeights = [0.2, 3]),
    maxGradNorm: (args) => void (args.maxGradNorm = 0.01),
    "mixed precision": (args) => void (args.fp16 = true),
    "the optimizer's betas": (_args, _state, _control, { optimizer }) =>
      void ((optimizer as AdamW).options.betas = [0.5, 0.6]),
    "the optimizer's weight decay": (_args, _state, _control, { optimizer }) =>
      void (optimizer!.options.weightDecay = 10),
  };

  let unchanged: string;
  test("nothing", async () => {
    unchanged = await weightsAfter(true);
    expect(await weightsAfter(false)).toBe(unchanged);
  });

  test.each(Object.entries(changes))("%s", async (_, change) => {
    const called = await weightsAfter(false, change);
    expect(called).not.toBe(unchanged);
    expect(await weightsAfter(true, change)).toBe(called);
  });

  test("gradient checkpointing: the same numbers, once more computed", async () => {
    const change = (...args: Changed): void => classifierOf(args).gradientCheckpointingEnable();
    const before = device().queue.dispatched;
    expect(await weightsAfter(true, change)).toBe(unchanged);
    const between = device().queue.dispatched;
    await weightsAfter(true);
    expect(between - before).toBeGreaterThan(device().queue.dispatched - between);
  });

  test("weights of classes that there are already; the last update counts them", async () => {
    const own = { classWeights: [1, 1] };
    const change = (args: TrainingArguments): void => void (args.classWeights = [0.2, 3]);
    const called = await weightsAfter(false, change, { own });
    expect(called).not.toBe(unchanged);
    expect(await weightsAfter(true, change, { own })).toBe(called);
  });

  test("a loss of one's own, which may decide anything: its steps are called", async () => {
    const lossOf = (): Partial<TrainerOptions> => {
      let calls = 0;
      return { computeLoss: ({ logits }, labels) => mul(crossEntropy(logits, labels), ++calls > 8 ? -1 : 1) };
    };
    expect(await weightsAfter(true, undefined, lossOf())).toBe(await weightsAfter(false, undefined, lossOf()));
  });

  test("a gradient hook is refused, also where steps were recorded before it", async () => {
    const change = (...args: Changed): void => void registerHook(classifierOf(args).classifier.bias, () => undefined);
    await expect(weightsAfter(true, change)).rejects.toThrow(
      "record: a gradient hook is called inside the recorded work",
    );
  });
});
