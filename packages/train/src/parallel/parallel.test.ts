// Several ranks of one process train as one with their batches together would.
import { readdirSync } from "node:fs";
import { destroy, init, mul, scope, tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { difference, newFolder, removeFolders, some, together, trained, type Setting } from "../../test/together.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { Dataset } from "../data/dataset.ts";
import { sharesOf } from "../trainer/loss.ts";
import type { Exchange } from "../trainer/recorded-steps.ts";
import { loopback } from "./loopback.ts";
import { Ranks } from "./ranks.ts";
import { bucketsOf, overlapOf, sumOverRanks } from "./sum-gradients.ts";

beforeAll(async () => void (await init()));
afterAll(async () => {
  await destroy();
  removeFolders();
});

describe("ranks together give what one with their batches gives", () => {
  const common: Partial<TrainingArguments> = { numTrainEpochs: 2, maxGradNorm: 0.5, weightDecay: 0.01 };
  test.each<[string, number, Partial<TrainingArguments>]>([
    ["an uneven last batch, of which a rank has no row", 3, {}],
    ["accumulation, clipping after the sum", 2, { gradientAccumulationSteps: 3, maxGradNorm: 0.05 }],
    ["label smoothing and class weights", 2, { labelSmoothingFactor: 0.1, classWeights: [0.5, 2] }],
    ["rows of like length together", 2, { trainSamplingStrategy: "group_by_length", gradientAccumulationSteps: 2 }],
    ["the mean of batches' means", 3, { gradientAccumulationLoss: "mean", gradientAccumulationSteps: 2 }],
  ])("%s", async (_name, size, args) => {
    const alone = await trained(undefined, { args: { ...common, ...args, perDeviceTrainBatchSize: 12, perDeviceEvalBatchSize: 8 * size } }); // prettier-ignore
    const ranks = await together(size, { args: { ...common, ...args, perDeviceTrainBatchSize: 12 / size } });
    for (const { losses, norms, evaluation, weights } of ranks) {
      expect(difference(losses, alone.losses)).toBeLessThan(2e-5);
      expect(difference(norms, alone.norms)).toBeLessThan(2e-4);
      expect(difference(weights, alone.weights)).toBeLessThan(2e-4);
      expect(evaluation["eval_accuracy"]).toBe(alone.evaluation["eval_accuracy"]);
      expect(evaluation["eval_loss"]).toBeCloseTo(alone.evaluation["eval_loss"]!, 4);
      expect(weights).toEqual(ranks[0]!.weights); // to the byte
    }
    const { train_samples_per_second: rate, train_runtime: seconds } = ranks[0]!.result.metrics;
    expect(rate * seconds).toBeCloseTo(100, -1); // rows of all ranks
  });

  test("with dropout, too, they are the same from run to run", async () => {
    const setting = { dropout: 0.1, args: { ...common, perDeviceTrainBatchSize: 6 } };
    const [first, second] = [await together(2, setting), await together(2, setting)];
    expect(second[0]!.losses).toEqual(first[0]!.losses);
    expect(second[0]!.weights).toEqual(first[0]!.weights);
    expect(first[1]!.weights).toEqual(first[0]!.weights);
  });

  test("each rank draws its own dropout", async () => {
    const same = Dataset.fromRows(Array.from({ length: 8 }, () => ({ text: "abcdef", label: 1 })));
    const found: number[] = [];
    const exchange: Exchange = async (_gradients, loss) => void found.push(await loss.item());
    const setting = { dropout: 0.5, train: same, exchange, args: { perDeviceTrainBatchSize: 1, maxSteps: 1 } };
    await together(2, setting);
    expect(found.length).toBe(2);
    expect(found[0]).not.toBe(found[1]);
  });

  test("gradients rounded to f16 on the wire: close, and half the bytes", async () => {
    const args = { ...common, perDeviceTrainBatchSize: 6, numTrainEpochs: 1 };
    const [exact] = await together(2, { args });
    const [rounded] = await together(2, { args: { ...args, ddpCommHook: "fp16" } });
    expect(rounded!.losses).not.toEqual(exact!.losses);
    expect(difference(rounded!.losses, exact!.losses)).toBeLessThan(2e-3);
    const f16 = await together(2, { args: { ...args, ddpCommHook: "fp16", ddpBucketCapMb: 0.001 } });
    expect(f16[0]!.losses).toEqual(rounded!.losses); // whatever the buckets
  });
});

test("a run continues on another number of ranks: the same rows, in the same order, for the same updates", async () => {
  const args: Partial<TrainingArguments> = { numTrainEpochs: 2, perDeviceTrainBatchSize: 3, lrSchedulerType: "cosine" };
  const alone = await trained(undefined, { args: { ...args, perDeviceTrainBatchSize: 12 } });
  const outputDir = newFolder();
  const stopping: Setting["own"] = (rank) => ({
    callbacks: (trainer) => [
      { onStepEnd: (_args, { globalStep }) => void (rank === 2 && globalStep === 4 && trainer().stop()) },
    ],
  });
  const first = await together(4, { args: { ...args, outputDir }, own: stopping });
  expect(first.map(({ result }) => result.globalStep)).toEqual([4, 4, 4, 4]); // one was asked to stop
  expect(readdirSync(outputDir).filter((name) => name.startsWith("checkpoint"))).toEqual(["checkpoint-4"]);
  for (const size of [1, 3]) {
    const resumed = { ...args, outputDir, resumeFromCheckpoint: true, saveStrategy: "no" } as const;
    const [rank] = size === 1 ? [await trained(undefined, { args: resumed })] : await together(size, { args: resumed });
    expect(rank!.result.globalStep).toBe(alone.result.globalStep);
    expect(difference([...first[0]!.losses, ...rank!.losses], alone.losses)).toBeLessThan(2e-5);
    expect(difference(rank!.weights, alone.weights)).toBeLessThan(2e-4);
  }
});

test("ranks that differ are refused before the first update, naming the difference", async () => {
  const attempt = (own: Setting["own"], train?: (rank: number) => Dataset) =>
    Promise.allSettled(
      loopback(2).map((communicator) =>
        trained(communicator, { args: { maxSteps: 1 }, own: own!, train: train?.(communicator.rank) ?? some }),
      ),
    );
  const messages = async (...given: Parameters<typeof attempt>) =>
    (await attempt(...given)).map((outcome) => (outcome as PromiseRejectedResult).reason as Error).map(String);
  for (const message of await messages((rank) => ({ args: { learningRate: rank ? 1e-5 : 2e-5 } })))
    expect(message).toMatch(
      "SharedError: Trainer: the ranks differ in the argument learning_rate: 0.00002 on rank 0 on localhost, 0.00001 on rank 1 on localhost.",
    );
  const other = Dataset.fromRows([
    { text: "abc", label: 0 },
    { text: "abd", label: 1 },
  ]);
  const [message] = await messages(
    () => ({}),
    (rank) => (rank ? other : some.take(2)),
  );
  expect(message).toMatch("the ranks differ in row 0 of trainDataset (a hash)");
});

test("a rank that doesn't come is waited for until the time is over", async () => {
  const [first] = loopback(2);
  await expect(new Ranks(first, 0.05).allGather("update 7", 1)).rejects.toThrow(
    "rank 0 on localhost has waited 0.05 s for the other ranks (update 7)",
  );
});

test("what rank 0 can't do, the others know", async () => {
  const outcomes = await Promise.allSettled(
    loopback(2).map((communicator) =>
      new Ranks(communicator, 10).lead("saving", () => {
        throw new Error("no space left on device");
      }),
    ),
  );
  const errors = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason as Error);
  expect(errors.map(String)).toEqual(["Error: no space left on device", "SharedError: no space left on device"]);
});

test("shares of the loss: of the rows, or masked tokens, of all ranks", () => {
  const all = [
    [6, 2],
    [3, 1],
  ];
  const of = (how: TrainingArguments["gradientAccumulationLoss"], rank: number, pieces = 1) =>
    sharesOf({ all, rank, pieces }, { gradientAccumulationLoss: how });
  expect(of("per_item", 0)).toEqual([6 / 12, 2 / 12]);
  expect(of("per_item", 1)).toEqual([3 / 12, 1 / 12]);
  expect(of("mean", 0)).toEqual([(6 / 9) * 0.5, (2 / 3) * 0.5]);
  expect(of("sum", 1)).toEqual([3 / 9, 1 / 3]);
  expect(of("sum", 1, 2)).toEqual([3 / 12, 1 / 12]); // two pieces of one batch
  expect(sharesOf({ all: [[5]], rank: 0, pieces: 1 }, { gradientAccumulationLoss: "sum" })).toEqual([]);
});

test("buckets: gradients up to the size, a larger one alone", () => {
  const buckets = bucketsOf(
    [3, 3, 9, 2].map((size) => tensor(new Array<number>(size).fill(0))),
    4 * 6,
  );
  expect(buckets.map((bucket) => bucket.map(({ size }) => size))).toEqual([[3, 3], [9], [2]]);
});

test("gradients are sent in the order in which backward completes them, from the second update on before it is over", async () => {
  const events = await Promise.all(
    loopback(2).map(async (communicator) => {
      const ranks = new Ranks(communicator, 10);
      // b is used last, so its gradient comes first; a is used twice.
      const [a, b] = [2, 3].map((value) => tensor([value + ranks.rank]).requireGrad());
      const seen: string[][] = [];
      const exchange = sumOverRanks(ranks, { bucketCapMb: 4 / 2 ** 20, half: false }, ({ buckets }) =>
        seen.at(-1)!.push(buckets.map(({ tensors }) => tensors).join()),
      );
      const sums: number[] = [];
      for (let update = 0; update < 3; update++) {
        seen.push([]);
        const watch = exchange.watch((parameter) => {
          seen.at(-1)!.push(parameter === a ? "a" : "b");
          return parameter.grad!;
        });
        const loss = scope(() => {
          const y = mul(mul(a!, a!), b!);
          y.backward({ onGradient: watch });
          return y;
        });
        await exchange([a!.grad!, b!.grad!], loss, [a!, b!]);
        sums.push(await a!.grad!.item(), await b!.grad!.item(), await loss.item());
        for (const parameter of [a!, b!]) {
          parameter.grad!.dispose();
          parameter.grad = null;
        }
      }
      return { seen, sums };
    }),
  );
  for (const { seen, sums } of events) {
    expect(seen).toEqual([["1,1,1"], ["b", "a", "1,1,1"], ["b", "a", "1,1,1"]]);
    // d a²b = (2ab, a²), with (2, 3) and (3, 4)
    expect(sums).toEqual([0, 1, 2].flatMap(() => [12 + 24, 4 + 9, 12 + 36]));
  }
});

test("the share of an exchange that backward has hidden", () => {
  const bucket = { tensors: 1, bytes: 4, sent: 0, read: 1, met: 2, summed: 3 };
  const buckets = [
    { ...bucket, begun: 0, written: 4 },
    { ...bucket, begun: 4, written: 8 },
    { ...bucket, begun: 8, written: 10 },
  ];
  expect(overlapOf({ buckets, backward: 5 })).toBe(0.5);
  expect(overlapOf({ buckets, backward: 20 })).toBe(1);
});
