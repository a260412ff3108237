// Folders that may not be written to. Root may write everywhere: where tests run as root, they run as another user meanwhile.
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { destroy, init } from "@gpugrad/tensor";
import { Trainer, type SaveError } from "@gpugrad/train";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { args, dataset, tinyModel, tokenizer } from "./tiny-task.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gpugrad-read-only-"));
});
afterEach(() => {
  makeWritable();
  rmSync(folder, { recursive: true });
});

function makeReadOnly(): void {
  chmodSync(folder, 0o555);
  if (isRoot) process.seteuid!(NOBODY);
}

function makeWritable(): void {
  if (isRoot) process.seteuid!(0);
  chmodSync(folder, 0o755);
}

/** A Trainer of 12 updates with a checkpoint after every fourth, and what it warns of. */
function watched(outputDir: string, onSave?: () => void) {
  const warnings: string[] = [];
  const trainer = new Trainer({
    ...{ model: tinyModel(), tokenizer, trainDataset: dataset, evalDataset: dataset },
    args: { ...args, maxSteps: 12, saveSteps: 4, outputDir },
    callbacks: [
      { onWarning: (_args, _state, _control, { warning }) => void warnings.push(warning!), ...(onSave && { onSave }) },
    ],
  });
  return { trainer, warnings };
}

/** Saves the model, which doesn't go: what the error says. It is in another folder instead, which is deleted. */
async function unsaved(trainer: Trainer): Promise<string> {
  const error = await trainer.saveModel().catch((caught: unknown) => caught as SaveError);
  expect(readdirSync(error!.savedIn!)).toContain("model.safetensors");
  rmSync(error!.savedIn!, { recursive: true });
  return error!.message;
}

test("no run begins in a folder that can't be written to, and no model is saved there", async () => {
  makeReadOnly();
  for (const outputDir of [folder, join(folder, "new")]) {
    const { trainer } = watched(outputDir);
    await expect(trainer.train()).rejects.toThrow(/can't be written to: EACCES.*Choose another output folder\./);
    expect(await unsaved(trainer)).toMatch(/the model can't be saved: EACCES.*Choose another folder/);
  }
  expect(readdirSync(folder)).toEqual([]);
});

test("a folder that becomes read-only does not end a run: each save gives a warning, and a later run continues from the one before", async () => {
  const { trainer, warnings } = watched(folder, makeReadOnly);
  expect(await trainer.train()).toMatchObject({ globalStep: 12, completed: true });
  expect(warnings).toEqual([
    expect.stringMatching(/model card: EACCES/),
    expect.stringMatching(/checkpoint-8 couldn't be saved: EACCES.*The run continues/),
    expect.stringMatching(/checkpoint-12 couldn't be saved: EACCES/),
  ]);
  await expect(unsaved(trainer)).resolves.toMatch(/the model can't be saved: EACCES/);
  expect(readdirSync(folder).filter((name) => /checkpoint|model|tmp$/.test(name))).toEqual(["checkpoint-4"]);

  makeWritable();
  const again = watched(folder);
  expect(await again.trainer.train({ resumeFromCheckpoint: true })).toMatchObject({ globalStep: 12, completed: true });
  expect(again.warnings).toEqual([]);
});
