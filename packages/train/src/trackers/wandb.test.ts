import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { drive } from "../../test/drive.ts";
import { wandbTracker } from "./wandb.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "wandb-"))));
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** An SDK that writes down its calls, of the shape that @wandb/sdk 0.5 has. */
function fakeSdk(init: string): string {
  const path = join(folder, "sdk.cjs");
  writeFileSync(
    path,
    `const { appendFileSync } = require("node:fs");
     const record = (...what) => appendFileSync(${JSON.stringify(join(folder, "calls.jsonl"))}, JSON.stringify(what) + "\\n");
     const run = { url: () => "https://wandb.ai/me/p/runs/1", log: (data) => record("log", data), finish: async () => record("finish") };
     exports.default = { init: async (options) => { record("init", options); ${init} return run; } };`,
  );
  return path;
}
const recorded = (): unknown[] =>
  readFileSync(join(folder, "calls.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as unknown); // prettier-ignore

it("reports to its SDK the run, each entry, and the end", async () => {
  vi.stubEnv("WANDB_PROJECT", "reviews");
  const warn = vi.fn();
  const outputDir = join(folder, "out");
  const sdk = fakeSdk("await new Promise((r) => setTimeout(r, 50));");
  const run = drive(
    [wandbTracker({ outputDir, runName: "first", warn, sdk })],
    { outputDir, hubToken: "hf_12345678" },
    [{ loss: 1, step: 2 }],
  );
  await run.begin();
  await run.log(4, { loss: 0.5 });
  await run.log(4, { eval_loss: 0.75 });
  await run.end();
  expect(warn.mock.calls).toEqual([["wandb: https://wandb.ai/me/p/runs/1"]]);
  const [[, options], ...rest] = recorded() as [[string, { config: object }], ...unknown[]];
  expect(options).toMatchObject({ project: "reviews", name: "first" });
  expect(options.config).toMatchObject({
    hidden_size: 4,
    learning_rate: 5e-5,
    output_dir: "out",
    resumed_from_step: 2,
  });
  expect(options.config).not.toHaveProperty("hub_token");
  expect(rest).toEqual([
    ["log", { "train/loss": 0.5, "train/epoch": 1, "train/global_step": 4 }],
    ["log", { "eval/loss": 0.75, "train/epoch": 1, "train/global_step": 4 }],
    ["finish"],
  ]);
});

it("a run continues when the SDK fails, even where nobody can catch it", async () => {
  const listeners = process.listenerCount("SIGINT");
  const warn = vi.fn();
  const sdk = fakeSdk(
    'process.once("SIGINT", () => {}); setTimeout(() => { throw new Error("no network"); }, 10); await new Promise(() => {});',
  );
  const run = drive([wandbTracker({ outputDir: folder, warn, sdk })], { outputDir: folder });
  await run.begin();
  await run.log(2, { loss: 0.5 });
  await run.end();
  expect(warn.mock.calls).toEqual([["reportTo wandb: no network. Training continues without it."]]);
  expect(process.listenerCount("SIGINT")).toBe(listeners);
});

it("says what to install when the SDK isn't there, and reports nothing where that is asked for", () => {
  const options = { outputDir: folder, sdk: "@wandb/no-such-sdk" };
  expect(() => wandbTracker(options)).toThrow(
    "reportTo wandb: its SDK is not installed. Run `npm install @wandb/no-such-sdk`",
  );
  vi.stubEnv("WANDB_MODE", "disabled");
  expect(wandbTracker(options)).toEqual({});
});
