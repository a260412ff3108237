import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, device, init } from "@gpugrad/tensor";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dataset, tinyModel, tokenizer } from "../../test/tiny-task.ts";
import { EarlyStoppingCallback, type TrainerCallback, type TrainerEvent } from "./callbacks.ts";
import type { LogEntry } from "./trainer-state.ts";
import { Trainer } from "./trainer.ts";
import type { TrainerOptions } from "./trainer-options.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "gpugrad-interrupted-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The digest of all weights. */
async function weightsOf(model: BertForSequenceClassification): Promise<string> {
  const hash = createHash("sha256");
  for (const parameter of model.parameters()) hash.update(await parameter.bytes());
  return hash.digest("hex");
}

const rows = dataset.take(20);

/** Eight updates in two epochs: checkpoints and logs fall on other updates than evaluations. */
const trainerOf = (own: Partial<TrainingArguments>, options: Partial<TrainerOptions> = {}): Trainer =>
  new Trainer({
    ...{ model: tinyModel(), tokenizer, trainDataset: rows, evalDataset: rows, ...options },
    args: {
      ...{ perDeviceTrainBatchSize: 5, perDeviceEvalBatchSize: 20, numTrainEpochs: 2, learningRate: 2e-3 },
      ...{ evalStrategy: "epoch", evalOnStart: true, saveSteps: 2, loggingSteps: 3, metricForBestModel: "loss" },
      ...{ outputDir: folder, recordSteps: false },
      ...own,
    },
  });

/** All that a run leaves, but times and its last entry, which is about one call of `train()`. */
async function remainsOf({ model, state }: Trainer): Promise<object> {
  const untimed = (entry: LogEntry): LogEntry =>
    Object.fromEntries(Object.entries(entry).filter(([name]) => !/runtime|per_second/.test(name)));
  const { logHistory, bestMetric, bestGlobalStep, bestModelCheckpoint, globalStep, epoch, totalFlos } = state;
  return {
    ...{ weights: await weightsOf(model), globalStep, epoch, totalFlos },
    log: logHistory.filter((entry) => !("train_runtime" in entry)).map(untimed),
    best: [bestMetric, bestGlobalStep, bestModelCheckpoint?.split("/").at(-1)],
    states: state.statefulCallbacks,
  };
}

const checkpoints = (): string[] => readdirSync(folder).filter((name) => name.startsWith("checkpoint-"));

const EVENTS = [
  ...([
    "onTrainBegin",
    "onEpochBegin",
    "onStepBegin",
    "onStepEnd",
    "onStepResult",
    "onLog",
    "onPredictionStep",
  ] as const),
  ...(["onEvaluate", "onSave", "onEpochEnd", "onTrainEnd"] as const),
] satisfies TrainerEvent[];

type Way = "stop" | "exception" | "lost device";

describe.each<[string, number, Partial<TrainingArguments>, Partial<Record<Way, readonly TrainerEvent[]>>]>([
  [
    ...(["checkpoints by steps, evaluations by epochs", 2, {}] as const),
    { stop: EVENTS, exception: EVENTS, "lost device": ["onLog", "onEvaluate", "onSave", "onTrainEnd"] },
  ],
  [
    ...(["the best of each epoch, loaded at the end", 1] as const),
    { saveStrategy: "epoch", loadBestModelAtEnd: true, gradientAccumulationSteps: 3 },
    { stop: EVENTS, exception: ["onStepEnd", "onEvaluate", "onSave", "onEpochEnd"] },
  ],
])(
  "a run that is interrupted at a callback, then resumed, ends like one that nothing disturbs: %s",
  (_, nth, own, ways) => {
    const early = (): TrainerCallback => new EarlyStoppingCallback({ earlyStoppingPatience: 5 });
    let expected: { remains: object; folders: string[] } | undefined;

    async function undisturbed(): Promise<{ remains: object; folders: string[] }> {
      const trainer = trainerOf(own, { callbacks: [early()] });
      await trainer.train();
      const found = { remains: await remainsOf(trainer), folders: checkpoints() };
      for (const left of checkpoints()) rmSync(join(folder, left), { recursive: true });
      return found;
    }

    const cases = Object.entries(ways).flatMap(([how, events]) => events.map((event) => [how as Way, event] as const));
    test.each(cases)("%s in %s", async (how, event) => {
      expected ??= await undisturbed();
      let count = 0;
      const interrupts: TrainerCallback = {
        [event]: () => {
          if (++count !== (event.startsWith("onTrain") ? 1 : nth)) return;
          if (how === "stop") trainer.stop();
          else if (how === "lost device") device().gpu.destroy();
          else throw new Error("the callback's own");
        },
        onWarning: () => undefined,
      };
      const trainer = trainerOf(own, { callbacks: [early(), interrupts] });
      let last = trainer;
      const result = await trainer.train().catch((error: Error) => error.message);
      if (how === "exception") expect(result).toBe("the callback's own");
      if (how === "exception" || (typeof result === "object" && !result.completed)) {
        const resumeFromCheckpoint = checkpoints().length > 0;
        if (how === "stop") expect(resumeFromCheckpoint).toBe(true);
        last = trainerOf({ ...own, resumeFromCheckpoint }, { callbacks: [early()] });
        await last.train();
      }
      expect(await remainsOf(last)).toEqual(expected.remains);
      expect(checkpoints()).toEqual(expect.arrayContaining(expected.folders));
    });
  },
);
