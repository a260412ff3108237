import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serializeSafetensors } from "@gpugrad/bert";
import { readJson } from "../../packages/train/src/files/json-files.ts";
import { readResumeState } from "../../packages/train/src/checkpoint/run-files.ts";
import { problemOf } from "../../packages/train/src/checkpoint/sealed-folder.ts";
import { freshState, stateFromJson } from "../../packages/train/src/trainer/trainer-state.ts";
import { bundle, unbundle, type Target } from "../target.ts";

/** Puts the files into a folder for as long as `work` takes. */
async function inFolder(input: Uint8Array, work: (folder: string) => Promise<unknown>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-fuzz-"));
  try {
    for (const [name, content] of Object.entries(unbundle(input)))
      if (/^[\w-]{1,60}\.[a-z]{1,20}$/.test(name)) writeFileSync(join(folder, name), content);
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const config = '{"model_type":"bert"}';
const sealed = { size: config.length, sha256: createHash("sha256").update(config).digest("hex") };

/** The list of files and checksums that makes a checkpoint whole. */
export const seal: Target = {
  name: "checkpoint-seal",
  seeds: [bundle({ "config.json": config, "checksums.json": JSON.stringify({ files: { "config.json": sealed } }) })],
  dictionary: ['"files":{}', '"../x":{"size":1}', '"size":-1', '"sha256":""', '"sha256":1'],
  read: (input) => inFolder(input, problemOf),
};

const optimizer: Uint8Array[] = [];
for await (const part of serializeSafetensors([
  { name: "a.exp_avg", dtype: "F32", shape: [2], bytes: () => new Uint8Array(8) },
]))
  optimizer.push(part.slice());

/** What a checkpoint holds for a run that is resumed, as if its checksums were right. */
export const resumeState: Target = {
  name: "checkpoint-state",
  seeds: [
    bundle({
      "trainer_state.json": JSON.stringify({
        ...{ epoch: 0.5, global_step: 5, max_steps: 10, num_train_epochs: 1, train_batch_size: 4, logging_steps: 1 },
        ...{ eval_steps: 5, save_steps: 5, total_flos: 100, best_metric: 0.5, best_global_step: 5 },
        best_model_checkpoint: "checkpoint-5",
        log_history: [{ epoch: 0.1, step: 1, loss: 0.7, learning_rate: 1e-3 }],
        stateful_callbacks: { TrainerControl: { args: { should_save: true }, attributes: {} } },
      }),
      "optimizer.json": JSON.stringify({ steps: 5, parameters: [{ name: "a", steps: 5 }] }),
      "optimizer.safetensors": Buffer.concat(optimizer),
      "scheduler.json": JSON.stringify({ last_epoch: 5 }),
      "rng_state.json": JSON.stringify({ key: [1, 2], stream: [3, 4], blocks: 7 }),
      "progress.json": JSON.stringify({ sinceLastLog: { loss: 0.5, steps: 1 }, skippedSteps: 0, scheduleWaits: 0 }),
      "scaler.json": JSON.stringify({
        scale: 65536,
        growthTracker: 0,
        growthFactor: 2,
        backoffFactor: 0.5,
        growthInterval: 2000,
      }),
    }),
  ],
  dictionary: [
    '"global_step":"5"',
    '"log_history":{}',
    "null",
    "[]",
    '"stateful_callbacks":[]',
    '"loss":null',
    "1e999",
  ],
  read: (input) =>
    inFolder(input, async (folder) => {
      stateFromJson(await readJson(folder, "trainer_state.json"), freshState());
      await readResumeState(folder, async ({ optimizer }) => {
        for (const tensor of optimizer.tensors.values()) await tensor.bytes();
      });
    }),
};
