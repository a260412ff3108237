// Trainings by several ranks of one process.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { TrainingArguments } from "../src/arguments/training-arguments.ts";
import type { Dataset } from "../src/data/dataset.ts";
import type { Communicator } from "../src/parallel/communicator.ts";
import { loopback } from "../src/parallel/loopback.ts";
import type { TrainerCallback } from "../src/trainer/callbacks.ts";
import type { Exchange } from "../src/trainer/recorded-steps.ts";
import { Trainer } from "../src/trainer/trainer.ts";
import { dataset, tinyModel, tokenizer } from "./tiny-task.ts";

const folders: string[] = [];

/** A folder that {@link removeFolders} removes. */
export const newFolder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "gpugrad-ranks-"));
  folders.push(path);
  return path;
};
export function removeFolders(): void {
  for (const path of folders) rmSync(path, { recursive: true });
}

/** 50 rows: the last batch of 12 has two. */
export const some = dataset.take(50);

export interface Setting {
  args: Partial<TrainingArguments>;
  dropout?: number;
  train?: Dataset;
  exchange?: Exchange;
  /** What only one rank is given. */
  own?: (rank: number) => {
    args?: Partial<TrainingArguments>;
    callbacks?: (trainer: () => Trainer) => TrainerCallback[];
  };
}

/** Trains one rank. */
export async function trained(
  communicator: Communicator | undefined,
  { args, dropout = 0, train = some, exchange, own }: Setting,
) {
  const losses: number[] = [];
  const norms: number[] = [];
  const rank = communicator?.rank ?? 0;
  const mine = own?.(rank) ?? {};
  const model = tinyModel({ dropout });
  const trainer: Trainer = new Trainer({
    ...{ model, tokenizer, trainDataset: train, evalDataset: dataset },
    args: { learningRate: 2e-3, maxLength: 16, ...args, ...mine.args },
    services: { ...(communicator && { communicator }), ...(exchange && { exchange }) },
    callbacks: [
      {
        onStepResult(_args, _state, _control, { result }) {
          losses.push(result!.loss);
          norms.push(result!.gradNorm);
        },
        onWarning: () => undefined,
      },
      ...(mine.callbacks?.(() => trainer) ?? []),
    ],
  });
  const result = await trainer.train();
  const evaluation = await trainer.evaluate();
  const weights = await Promise.all(model.parameters().map((p) => p.data()));
  model.dispose();
  return { losses, norms, result, evaluation, weights: weights.flatMap((values) => Array.from(values, Number)) };
}

/** Trains with several ranks. */
export const together = (size: number, setting: Setting) =>
  Promise.all(loopback(size).map((communicator) => trained(communicator, setting)));

/** The largest difference, in units of the largest number. */
export function difference(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  const most = Math.max(...b.map(Math.abs));
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / most;
}
