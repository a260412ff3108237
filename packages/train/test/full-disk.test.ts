// A disk that is full when something is to be saved: a small one in memory, which only root may mount.
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { SaveError, Trainer, type TrainerCallback } from "@gpugrad/train";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { problemOfCheckpoint } from "../src/checkpoint/checkpoints.ts";
import { args, dataset, tinyModel, tokenizer } from "./tiny-task.ts";

const mounted = mkdtempSync(join(tmpdir(), "gpugrad-full-"));
const mount = (): boolean => spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mounted]).status === 0;
const unmount = (): boolean => spawnSync("umount", [mounted]).status === 0;
const canMount = mount() && unmount();

beforeAll(async () => void (await init()));
afterAll(async () => {
  await destroy();
  rmSync(mounted, { recursive: true });
});

/** Leaves no room on the disk. */
function fill(): void {
  const file = openSync(join(mounted, "filler"), "w");
  try {
    for (const size of [65536, 1024, 1]) {
      try {
        while (writeSync(file, Buffer.alloc(size)) > 0);
      } catch {
        // full, for pieces of this size
      }
    }
  } finally {
    closeSync(file);
  }
}

describe.skipIf(!canMount)("a full disk (needs root, to mount one)", () => {
  const elsewhere: string[] = [];
  beforeEach(() => void mount());
  afterEach(() => {
    unmount();
    for (const folder of elsewhere.splice(0)) rmSync(folder, { recursive: true });
  });

  const output = (): string => join(mounted, "run");
  function trainer(callback: TrainerCallback = {}, given: object = {}) {
    const warnings: string[] = [];
    const onWarning: TrainerCallback["onWarning"] = (_args, _state, _control, { warning }) => void warnings.push(warning!); // prettier-ignore
    const made = new Trainer({
      ...{ model: tinyModel(), tokenizer, trainDataset: dataset, evalDataset: dataset },
      args: { ...args, maxSteps: 6, outputDir: output(), ...given },
      callbacks: [{ ...callback, onWarning }],
    });
    return { trainer: made, warnings };
  }

  test("at the end of training: the model is saved elsewhere, and here once there is room", async () => {
    const { trainer: made } = trainer({ onTrainEnd: fill });
    await made.train();
    const error = await made.saveModel().then(() => undefined, (caught: unknown) => caught as SaveError); // prettier-ignore
    expect(error).toBeInstanceOf(SaveError);
    expect(error!.message).toMatch(
      /run: the model can't be saved: ENOSPC.*; but is in .*gpugrad-run-\w+: move it from there/,
    );
    elsewhere.push(error!.savedIn!);
    const weights = async (folder: string): Promise<Map<string, string>> => {
      const model = await BertForSequenceClassification.fromPretrained(folder, { dtype: "f32" });
      const all = model.namedParameters();
      return new Map(await Promise.all([...all].map(async ([name, p]) => [name, Buffer.from(await p.bytes()).toString("base64")] as const))); // prettier-ignore
    };
    const saved = await weights(error!.savedIn!);
    expect(readdirSync(output()).filter((name) => /^model|tmp$/.test(name))).toEqual([]);
    rmSync(join(mounted, "filler"));
    await made.saveModel();
    expect(await weights(output())).toEqual(saved);
  });

  test("when a run is stopped: its checkpoint is saved elsewhere, and can be resumed from", async () => {
    let made: Trainer | undefined = undefined as Trainer | undefined;
    const stopping: TrainerCallback = {
      onTrainBegin: fill,
      onStepEnd: (_args, { globalStep }) => void (globalStep === 3 && made!.stop()),
    };
    const { trainer: stopped, warnings } = trainer(stopping, { saveSteps: 6, saveStrategy: "steps" });
    made = stopped;
    expect(await stopped.train()).toMatchObject({ globalStep: 3, completed: false });
    const [, copy] = /checkpoint-3 couldn't be saved: ENOSPC.* It is in (\S+) instead/.exec(warnings.join("\n"))!;
    elsewhere.push(dirname(copy!));
    expect(await problemOfCheckpoint(copy!)).toBeUndefined();
    rmSync(join(mounted, "filler"));
    const { trainer: resumed } = trainer();
    expect(await resumed.train({ resumeFromCheckpoint: copy! })).toMatchObject({ globalStep: 6, completed: true });
  });

  test("a checkpoint that doesn't fit leaves the older ones", async () => {
    const { trainer: made, warnings } = trainer({ onSave: () => void (readdirSync(mounted).includes("filler") || fill()) }, { saveTotalLimit: 1 }); // prettier-ignore
    await made.train();
    expect(warnings.filter((warning) => /checkpoint-[46] couldn't be saved: ENOSPC.*The run continues/.test(warning))).toHaveLength(2); // prettier-ignore
    expect(readdirSync(output()).filter((name) => name.startsWith("checkpoint"))).toEqual(["checkpoint-2"]);
    expect(await problemOfCheckpoint(join(output(), "checkpoint-2"))).toBeUndefined();
  });
});
