import { destroy, init } from "@gpugrad/tensor";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { CallbackContext, StepEvent } from "./callbacks.ts";
import { ProgressCallback } from "./progress-callback.ts";
import type { LogEntry, TrainerControl, TrainerState } from "./trainer-state.ts";
import { trainingArguments, type TrainingArguments } from "../arguments/training-arguments.ts";

const args = trainingArguments({ evalStrategy: "steps", metricForBestModel: "accuracy" });
const control = {} as TrainerControl;
const stateAt = (globalStep: number, logHistory: LogEntry[] = []): TrainerState =>
  ({ globalStep, maxSteps: 40, epoch: globalStep / 20, logHistory }) as TrainerState;

const stepAt = (step: number, more: Partial<StepEvent> = {}): StepEvent => ({
  ...{ step, totalSteps: 40, loss: 0.5, gradNorm: 1, learningRate: 5e-5, epoch: step / 20, lengths: [3] },
  ...{ tokensPerSecond: 1234.5, secondsLeft: 65, ...more },
});

beforeAll(async () => void (await init())); // the memory that is shown
afterAll(destroy);

let text = "";
beforeEach(() => void (text = ""));

/** A callback that writes into `text`, and the events of a trainer. */
function started(isTTY: boolean, quiet = false, given: TrainingArguments = args, state = stateAt(0)) {
  const stream = { isTTY, columns: 120, write: (piece: string) => void (text += piece) };
  const progress = new ProgressCallback({ stream, quiet, everySeconds: 3600 });
  const contextWith = (context: Partial<CallbackContext>) => context as CallbackContext;
  progress.onTrainBegin(given, state);
  return {
    progress,
    step: (event: StepEvent) =>
      progress.onStepResult(given, stateAt(event.step), control, contextWith({ result: event })),
    log: (logs: LogEntry) => progress.onLog(given, stateAt(logs["step"]!), control, contextWith({ logs })),
    evaluate: (step: number, metrics: Record<string, number>) =>
      progress.onEvaluate(given, stateAt(step), control, contextWith({ metrics })),
    evaluating: (batch: number) =>
      progress.onPredictionStep(given, stateAt(0), control, contextWith({ evaluation: { batch, totalBatches: 4 } })),
    save: (checkpoint: string) => progress.onSave(given, stateAt(0), control, contextWith({ checkpoint })),
  };
}

test("a terminal has one live line, with the loss smoothed; notes appear above it", () => {
  const now = vi.spyOn(performance, "now");
  try {
    const { progress, step, evaluating, save } = started(true);
    now.mockReturnValue(1000);
    step(stepAt(1, { loss: 1 }));
    expect(text).toMatch(/^\rstep 1\/40 · 2 % · loss 1\.0000 · lr 5\.00e-5 · 1235 tokens\/s · [^·]* · 1 min 05 s left/);
    text = "";
    now.mockReturnValue(2000);
    step(stepAt(2, { loss: 0 })); // 0.9 · 0.1 / (1 - 0.9²) of the first
    expect(text).toMatch(/^\rstep 2\/40 · 5 % · loss 0\.4737 · /);
    text = "";
    now.mockReturnValue(3000);
    save("out/checkpoint-2");
    evaluating(1);
    step(stepAt(3, { loss: NaN }));
    step(stepAt(4, { skippedSteps: 1, lossScale: 32768 }));
    progress.onTrainEnd();
    const lines = text.split("\n");
    expect(lines[0]).toBe("\r\x1b[Ksaved out/checkpoint-2");
    expect(text).toContain("step 3: the loss is NaN\n");
    expect(text).toContain("step 4: left out, for a gradient was not finite; the loss scale was 32768\n");
    expect(lines.at(-2)).toMatch(/\rstep 4\/40 · 10 % · loss 0\.\d+ · .* · 1 left out · /);
    expect(lines.at(-1)).toBe("");
  } finally {
    now.mockRestore();
  }
});

test("a log has a line at each logging step, once", () => {
  const { step, log, evaluating, progress } = started(false);
  step(stepAt(1));
  log({ loss: 0.5, step: 1 }); // logging_first_step: that line is there
  step(stepAt(2));
  evaluating(1);
  step(stepAt(10));
  log({ loss: 0.25, step: 10 });
  log({ train_runtime: 12, step: 10 });
  progress.onTrainEnd();
  expect(text.split("\n").map((line) => line.split(" · lr")[0])).toEqual([
    "step 1/40 · 2 % · loss 0.5000",
    "step 10/40 · 25 % · loss 0.2500",
    "",
  ]);
});

test("an evaluation is shown beside the one before and the best", () => {
  const { evaluate } = started(false, false, args, stateAt(10, [{ loss: 1, step: 10 }, { eval_loss: 0.7, eval_accuracy: 0.5, step: 10 }])); // prettier-ignore
  evaluate(20, { eval_loss: 0.35, eval_accuracy: 0.8125, eval_runtime: 2 });
  evaluate(30, { eval_loss: 0.4, eval_accuracy: 0.875, eval_runtime: 2 });
  expect(text).toBe(`continuing after step 10 of 40
evaluation at step 20 of 40, epoch 1.00
               now    before               best
  loss      0.3500 *  0.7000  0.3500 at step 20
  accuracy  0.8125 *  0.5000  0.8125 at step 20
evaluation at step 30 of 40, epoch 1.50
               now    before               best
  loss      0.4000    0.3500  0.3500 at step 20
  accuracy  0.8750 *  0.8125  0.8750 at step 30
`);
});

test("what is best goes by greaterIsBetter for the metric that is watched", () => {
  const { evaluate } = started(false, false, trainingArguments({ ...args, metricForBestModel: "perplexity", greaterIsBetter: false })); // prettier-ignore
  evaluate(20, { eval_perplexity: 3 });
  evaluate(30, { eval_perplexity: 4 });
  expect(text.split("\n").at(-2)).toBe("  perplexity    4         3  3 at step 20");
});

test("quiet says only what is out of the ordinary", () => {
  const { progress, step, log, evaluate, evaluating, save } = started(true, true);
  step(stepAt(1));
  log({ loss: 1, step: 1 });
  evaluating(1);
  evaluate(1, { eval_loss: 1 });
  save("out/checkpoint-1");
  expect(text).toBe("");
  step(stepAt(2, { loss: Infinity }));
  progress.onWarning(args, stateAt(2), control, { warning: "the disk is full" } as CallbackContext);
  expect(text).toBe("step 2: the loss is Infinity\nwarning: the disk is full\n");
});
