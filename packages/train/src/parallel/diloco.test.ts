import { destroy, fromArray, init, keep } from "@gpugrad/tensor";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { difference, newFolder, removeFolders, together } from "../../test/together.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { AdamW } from "../optim/adamw.ts";
import { DiLoCo } from "./diloco.ts";
import { loopback } from "./loopback.ts";
import { Ranks } from "./ranks.ts";

beforeAll(async () => void (await init()));
afterAll(async () => {
  await destroy();
  removeFolders();
});

const SIZES = [5, 3];
const START = SIZES.map((size, k) => Array.from({ length: size }, (_, i) => Math.sin(3 * k + i)));
/** What a rank's gradient is at an update: made up, and another one for each. */
const gradientAt = (rank: number, update: number, k: number, i: number): number =>
  Math.cos(rank + 2 * update + 5 * k + 0.7 * i);
const INNER = { lr: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8 };
const [ROUND, UPDATES, OUTER_LR, MOMENTUM] = [3, 7, 0.7, 0.9];

/** DiLoCo in plain numbers: AdamW by each rank, then the outer step by PyTorch's formula of SGD with Nesterov's momentum. */
function golden(ranks: number): number[] {
  const size = START.flat().length;
  const places = SIZES.flatMap((count, k) => Array.from({ length: count }, (_, i) => [k, i] as const));
  let start = START.flat();
  const velocity = new Array<number>(size).fill(0);
  let [m, v] = [new Array<number>(size).fill(0), new Array<number>(size).fill(0)];
  for (let done = 0; done < UPDATES;) {
    const count = Math.min(ROUND, UPDATES - done);
    const own = Array.from({ length: ranks }, (_, rank) => {
      const [p, first, second] = [[...start], [...m], [...v]];
      for (let t = done + 1; t <= done + count; t++) {
        places.forEach(([k, i], at) => {
          const g = gradientAt(rank, t, k, i);
          first[at] = INNER.beta1 * first[at]! + (1 - INNER.beta1) * g;
          second[at] = INNER.beta2 * second[at]! + (1 - INNER.beta2) * g * g;
          const [mHat, vHat] = [first[at] / (1 - INNER.beta1 ** t), second[at] / (1 - INNER.beta2 ** t)];
          p[at] = p[at]! - (INNER.lr * mHat) / (Math.sqrt(vHat) + INNER.eps);
        });
      }
      return { p, first, second };
    });
    const mean = (of: (rank: (typeof own)[number]) => number[]) =>
      start.map((_, at) => own.reduce((sum, rank) => sum + of(rank)[at]!, 0) / ranks);
    const weights = mean(({ p }) => p);
    [m, v] = [mean(({ first }) => first), mean(({ second }) => second)];
    start = start.map((value, at) => {
      const gradient = value - weights[at]!;
      velocity[at] = MOMENTUM * velocity[at]! + gradient;
      return value - OUTER_LR * (gradient + MOMENTUM * velocity[at]);
    });
    done += count;
  }
  return start;
}

test("rounds of updates by each rank are those of a plain model of it", async () => {
  const found = await Promise.all(
    loopback(2).map(async (communicator) => {
      const parameters = START.map((values) => keep(fromArray(values, [values.length])).requireGrad());
      const optimizer = new AdamW(parameters.map((p, k) => [`p${k}`, p] as const), { lr: INNER.lr, weightDecay: 0 }); // prettier-ignore
      const args = { dilocoSteps: ROUND, dilocoLr: OUTER_LR, dilocoMomentum: MOMENTUM };
      const diloco = new DiLoCo(new Ranks(communicator, 10), optimizer, args);
      await diloco.begin();
      for (let update = 1; update <= UPDATES; update++) {
        for (const [k, parameter] of parameters.entries()) {
          const gradient = START[k]!.map((_, i) => gradientAt(communicator.rank, update, k, i));
          parameter.grad = keep(fromArray(gradient, [gradient.length]));
        }
        optimizer.step();
        optimizer.zeroGrad();
        await diloco.updated();
      }
      await diloco.endRound();
      await diloco.endRound(); // no update has been made since
      const weights = (await Promise.all(parameters.map((p) => p.toArray()))).flat() as number[];
      optimizer.dispose();
      for (const parameter of parameters) parameter.dispose();
      return weights;
    }),
  );
  expect(found[1]).toEqual(found[0]);
  expect(difference(found[0]!, golden(2))).toBeLessThan(1e-6);
});

const common: Partial<TrainingArguments> = { numTrainEpochs: 2, perDeviceTrainBatchSize: 5, maxGradNorm: 0 };

test("rounds of one update of SGD, outer rate 1 and no momentum: the sum of gradients that ranks have without it", async () => {
  const args: Partial<TrainingArguments> = { ...common, optim: "sgd", learningRate: 0.1 };
  const summed = await together(2, { args });
  const own = await together(2, { args: { ...args, dilocoSteps: 1, dilocoLr: 1, dilocoMomentum: 0 } });
  expect(difference(own[0]!.losses, summed[0]!.losses)).toBeLessThan(2e-5);
  expect(difference(own[0]!.weights, summed[0]!.weights)).toBeLessThan(2e-4);
  expect(own[1]!.weights).toEqual(own[0]!.weights);
});

test("a run that is stopped at a checkpoint continues to the same bytes; the last batch has no row for a rank", async () => {
  const args: Partial<TrainingArguments> = {
    ...{ ...common, perDeviceTrainBatchSize: 4, dilocoSteps: 3, saveSteps: 4, evalStrategy: "epoch" },
  };
  const [outputDir, other] = [newFolder(), newFolder()];
  const whole = await together(3, { args: { ...args, outputDir } });
  expect(whole.every(({ losses }) => losses.every(Number.isFinite))).toBe(true);
  expect(whole[1]!.weights).toEqual(whole[0]!.weights);
  expect(whole[1]!.losses).toEqual(whole[0]!.losses);
  expect(whole[1]!.evaluation["eval_loss"]).toBe(whole[0]!.evaluation["eval_loss"]);
  await together(3, {
    args: { ...args, outputDir: other },
    own: (rank) => ({
      callbacks: (trainer) => [
        { onSave: (_args, { globalStep }) => void (rank === 1 && globalStep === 4 && trainer().stop()) },
      ],
    }),
  });
  expect(readdirSync(join(other, "checkpoint-4"))).toContain("outer_optimizer.safetensors");
  const rest = await together(3, { args: { ...args, outputDir: other, resumeFromCheckpoint: true } });
  expect(rest[0]!.weights).toEqual(whole[0]!.weights);
  const files = ["model.safetensors", "optimizer.safetensors", "outer_optimizer.safetensors"];
  const last = `checkpoint-${whole[0]!.result.globalStep}`;
  for (const file of files)
    expect(readFileSync(join(other, last, file)).equals(readFileSync(join(outputDir, last, file))), file).toBe(true);
});
