import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { splitMix64 } from "../src/random.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const texts = pathToFileURL(join(here, "../../../scripts/text-loader.mjs")).href;
const work = mkdtempSync(join(tmpdir(), "gpugrad-survive-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Starts the run in a process of its own, without anything between it and a signal. */
function start(folder: string): ChildProcess & { ended: Promise<{ code: number | null; errors: string }> } {
  mkdirSync(folder, { recursive: true });
  const loaders = ["--import", import.meta.resolve("tsx"), "--import", texts];
  const child = spawn(process.execPath, [...loaders, join(here, "survive-run.ts"), folder]);
  let errors = "";
  child.stderr.on("data", (piece: Buffer) => (errors += piece.toString()));
  const ended = new Promise<{ code: number | null; errors: string }>((resolve) =>
    child.on("exit", (code) => resolve({ code, errors })),
  );
  return Object.assign(child, { ended });
}

/** Everything that a run leaves: bytes of weights and state, and the log without times. */
function remains(folder: string): Record<string, unknown> {
  const checkpoints = readdirSync(folder).filter((name) => name.startsWith("checkpoint-"));
  const files = [
    "model.safetensors",
    "optimizer.safetensors",
    "optimizer.json",
    "scheduler.json",
    "rng_state.json",
    "progress.json",
  ];
  const reported = checkpoints.map((name) => {
    const json = readFileSync(join(folder, name, "trainer_state.json"), "utf8").replaceAll(folder, "output");
    const state = JSON.parse(json, (key, value: unknown) =>
      /runtime$|per_second$/.test(key) ? "a time" : value,
    ) as unknown;
    return [name, state, ...files.map((file) => readFileSync(join(folder, name, file)).toString("base64"))];
  });
  return { checkpoints: reported, model: readFileSync(join(folder, "model.safetensors")).toString("base64") };
}

const has = (folder: string, name: RegExp): boolean => readdirSync(folder).some((file) => name.test(file));

/**
 * Kills the run when it has made that many updates, some milliseconds later or in the middle of the next save.
 * @returns false if it was over before
 */
async function kill(
  child: ReturnType<typeof start>,
  folder: string,
  { updates, delay, saving }: { updates: number; delay: number; saving: boolean },
): Promise<boolean> {
  let reported = "";
  child.stdout!.on("data", (piece: Buffer) => (reported += piece.toString()));
  const isAlive = (): boolean => child.exitCode === null;
  while (isAlive() && reported.split("\n").length <= updates) await sleep(1);
  if (saving) while (isAlive() && !has(folder, /\.tmp$/)) await sleep(0);
  else await sleep(delay);
  const wasAlive = isAlive();
  child.kill("SIGKILL");
  await child.ended;
  return wasAlive;
}

const undisturbed = join(work, "undisturbed");
beforeAll(async () => {
  const { code, errors } = await start(undisturbed).ended;
  expect(code, errors).toBe(0);
});

test("put to sleep in the middle, as a laptop that is closed: it continues when it wakes", async () => {
  const folder = join(work, "asleep");
  const child = start(folder);
  await new Promise((resolve) => child.stdout!.once("data", resolve));
  child.kill("SIGSTOP");
  await sleep(2000);
  child.kill("SIGCONT");
  const { code, errors } = await child.ended;
  expect(code, errors).toBe(0);
  expect(remains(folder)).toEqual(remains(undisturbed));
});

describe("killed with SIGKILL, again and again", () => {
  test.each([1, 2])(
    "six times at random moments, during saves too: the run ends with the same bytes (%i)",
    async (seed) => {
      const random = splitMix64(seed);
      let [kills, resumed] = [0, 0];
      for (let run = 0; kills < 6; run++) {
        const folder = join(work, `killed-${seed}-${run}`);
        for (;;) {
          const goesOn = existsSync(folder) && has(folder, /^checkpoint-\d+$/);
          const child = start(folder);
          const moment = { updates: 1 + random.below(8), delay: random.below(30), saving: kills % 3 === 2 };
          if (kills < 6 && (await kill(child, folder, moment))) {
            kills++;
            if (goesOn) resumed++;
            continue;
          }
          const { code, errors } = await child.ended;
          expect(code, errors).toBe(0);
          break;
        }
        expect(remains(folder)).toEqual(remains(undisturbed));
      }
      expect(resumed).toBeGreaterThan(1); // lives began where the one before had ended
    },
    600_000, // eight processes and more, one after another
  );
});
