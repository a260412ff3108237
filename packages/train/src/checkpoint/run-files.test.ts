import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSafetensors } from "@gpugrad/bert";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readResumeState, type ResumeState } from "./run-files.ts";

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "gpugrad-run-files-"));
  for (const [name, values] of Object.entries(WHOLE)) put(name, JSON.stringify(values));
  await writeSafetensors(join(folder, "optimizer.safetensors"), []);
});
afterEach(() => rmSync(folder, { recursive: true }));

const WHOLE: Record<string, object> = {
  optimizer: { steps: 3, parameters: [{ name: "classifier.bias", steps: 3 }] },
  scheduler: { lastEpoch: 3 },
  rng_state: { key: [1, 2], stream: [0, 0], blocks: 17 },
  progress: { sinceLastLog: { loss: 0.5, steps: 1 }, skippedSteps: 0, scheduleWaits: 0 },
  scaler: { scale: 65536, growthTracker: 3, growthFactor: 2, backoffFactor: 0.5, growthInterval: 2000 },
};
const put = (name: string, content: string): void => writeFileSync(join(folder, `${name}.json`), content);

async function read(): Promise<ResumeState> {
  let found: ResumeState | undefined;
  await readResumeState(folder, (state) => Promise.resolve(void (found = state)));
  return found!;
}

test("what a run was at is read back; a loss that JSON could not hold is NaN", async () => {
  expect(await read()).toMatchObject({
    optimizer: WHOLE["optimizer"],
    scheduler: WHOLE["scheduler"],
    generator: WHOLE["rng_state"],
    progress: WHOLE["progress"],
    scaler: WHOLE["scaler"],
  });
  put("progress", JSON.stringify({ ...WHOLE["progress"], sinceLastLog: { loss: NaN, steps: 2 } }));
  expect((await read()).progress.sinceLastLog).toEqual({ loss: NaN, steps: 2 });
});

test.each([
  ["optimizer", { steps: "3" }],
  ["optimizer", { parameters: {} }],
  ["optimizer", { parameters: [null] }],
  ["optimizer", { parameters: [{ name: 5, steps: 1 }] }],
  ["scheduler", { lastEpoch: { of: 3 } }],
  ["rng_state", { key: "12" }],
  ["rng_state", { stream: [1] }],
  ["rng_state", { blocks: -1 }],
  ["progress", { sinceLastLog: null }],
  ["progress", { sinceLastLog: { loss: "0.5", steps: 1 } }],
  ["progress", { skippedSteps: 0.5 }],
  ["scaler", { scale: null }],
])("%s.json with %j is refused by name", async (name, change) => {
  put(name, JSON.stringify({ ...WHOLE[name], ...change }));
  await expect(read()).rejects.toThrow(`${folder}/${name}.json: it doesn't hold what is saved there`);
});

test.each(["[]", "5", "null", "{", "", `{"a": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`])(
  "a file that begins with %.10s is refused by name",
  async (content) => {
    for (const name of Object.keys(WHOLE)) {
      put(name, content);
      await expect(read()).rejects.toThrow(join(folder, `${name}.json: `));
      put(name, JSON.stringify(WHOLE[name]));
    }
  },
);

test("without the optimizer's state there is nothing to resume from", async () => {
  rmSync(join(folder, "optimizer.json"));
  await expect(read()).rejects.toThrow("there is no optimizer state to resume from");
});
