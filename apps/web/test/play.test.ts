// The playground in a real browser: a worker trains with the real Trainer, on a CPU driver.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { init } from "@gpugrad/tensor";
import { generateReviews } from "@gpugrad/train";
import { blobIdOf, startFakeHub } from "../../../packages/bert/test/fake-hub.ts";
import { pythonWith } from "../../../scripts/python-for-tests.ts";
import { freshRecord } from "../src/play/events.ts";
import { Job } from "../src/play/job.ts";
import { DEFAULTS, fromHash, toHash, type Settings } from "../src/play/settings.ts";
import { chromiumPath, openIsland, type OpenSite } from "./open-site.ts";

const TINY: Partial<Settings> = {
  ...{ train_rows: 48, eval_rows: 16, vocab_size: 200, hidden_size: 16, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, intermediate_size: 16, per_device_train_batch_size: 4, dropout: 0.1 },
};

/** Waits until the page says how a run ended. @throws what it says where the run failed */
async function ended(page: Page, how: string | RegExp): Promise<void> {
  const failed = page.locator(".play-error").waitFor({ timeout: 50_000 });
  failed.catch(() => undefined); // nothing failed
  const said = page.locator(".status", { hasText: how }).waitFor({ timeout: 50_000 });
  await Promise.race([
    said,
    failed.then(async () => Promise.reject(new Error(await page.locator(".status").innerText()))),
  ]);
}
const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

describe.skipIf(!chromiumPath)("the playground in Chromium (apt-get install chromium)", () => {
  let site: OpenSite;
  beforeAll(async () => void (site = await openIsland("play/play.ts")));
  afterAll(() => site?.close());

  const open = (settings: Partial<Settings>) =>
    site.open(`index.html#${toHash({ ...DEFAULTS, ...TINY, ...settings })}`);

  /** The SHA-256 of a file of the browser's own file system. */
  async function hashOf(page: Page, path: string): Promise<string> {
    const bytes = await page.evaluate(async (path) => {
      const names = path.split("/");
      let folder = await navigator.storage.getDirectory();
      for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name);
      const file = await (await folder.getFileHandle(names.at(-1)!)).getFile();
      return Array.from(new Uint8Array(await file.arrayBuffer()));
    }, path);
    return createHash("sha256").update(Uint8Array.from(bytes)).digest("hex");
  }

  test("20 updates in a worker have the losses of Node's on the same driver", async () => {
    const settings = { max_steps: 20, eval_steps: 20, look_steps: 5 };
    const { page, errors } = await open(settings);
    await press(page, "Train");
    await ended(page, "Finished at update 20.");
    const record = await page.evaluate(async () => {
      const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle("runs");
      const file = await (await runs.getDirectoryHandle("run-1")).getFileHandle("run.json");
      return JSON.parse(await (await file.getFile()).text()) as { steps: { loss: number }[] };
    });
    expect(await page.locator(".play-confusion td.right").count()).toBe(2);
    expect(await page.locator(".play-neighbours li").count()).toBe(5);
    expect(errors).toEqual([]);
    await page.close();

    process.env["GPUGRAD_ADAPTER"] = "swiftshader";
    await init();
    const own = freshRecord("node", { ...DEFAULTS, ...TINY, ...settings });
    const job = await Job.open(own, { emit: () => undefined });
    await job.run();
    const losses = job.record.steps.map(({ loss }) => loss);
    expect(losses).toHaveLength(20);
    for (const [i, { loss }] of record.steps.entries())
      expect(Math.abs(loss - losses[i]!), `update ${i + 1}: ${loss} in the browser, ${losses[i]} in Node`).toBeLessThan(1e-5); // prettier-ignore
  });

  test("paused, reloaded and resumed, a run ends with the bytes of one that was not disturbed", async () => {
    const settings = { max_steps: 24, eval_steps: 12, look_steps: 1 };
    const { page, errors } = await open(settings);
    await press(page, "Train");
    await page.locator(".play-numbers dd", { hasText: /^([3-9]|1\d) of 24/ }).waitFor();
    await press(page, "Pause");
    await ended(page, /Paused at update \d+\./);
    const at = Number(/update (\d+)/.exec(await page.locator(".status").innerText())![1]);
    expect(at).toBeLessThan(24);
    await page.reload();
    await ended(page, `run-1, as it was kept at update ${at}.`);
    await press(page, "Resume");
    await ended(page, "Finished at update 24.");
    await press(page, "Train");
    await ended(page, "Finished at update 24.");
    await page.getByRole("button", { name: "Show run-2" }).waitFor();
    await page.getByLabel("Compare run-1").check();
    await page.locator(".play-charts", { hasText: "run-1" }).waitFor();
    for (const file of ["model.safetensors", "optimizer.safetensors", "rng_state.json", "scheduler.json"])
      expect(await hashOf(page, `runs/run-1/checkpoint-24/${file}`), file).toBe(await hashOf(page, `runs/run-2/checkpoint-24/${file}`)); // prettier-ignore
    expect(errors).toEqual([]);
    await page.close();
  });

  test("a device that is lost is replaced, and the run ends", async () => {
    const { page, errors } = await open({ max_steps: 16, save_steps: 4, eval_steps: 8, look_steps: 2 });
    const worker = page.workers()[0] ?? (await page.waitForEvent("worker"));
    await worker.evaluate(() => {
      const { requestDevice } = Object.getOwnPropertyDescriptors(GPUAdapter.prototype);
      GPUAdapter.prototype.requestDevice = async function (...given) {
        const device = await requestDevice.value!.apply(this, given);
        (globalThis as unknown as { devices: GPUDevice[] }).devices = [device];
        return device;
      };
    });
    await press(page, "Train");
    await page.locator(".play-numbers dd", { hasText: /^([5-9]|1\d) of 16/ }).waitFor();
    await worker.evaluate(() => (globalThis as unknown as { devices: GPUDevice[] }).devices[0]!.destroy());
    await ended(page, /There is a new one, and training continues from runs\/run-1\/checkpoint-/);
    await ended(page, "Finished at update 16.");
    expect(errors).toEqual([]);
    await page.close();
  });

  describe("with rows and models of one's own", () => {
    const folder = mkdtempSync(join(tmpdir(), "gpugrad-play-"));
    const [csv, model] = [join(folder, "rows.csv"), join(folder, "model")];
    const rows = generateReviews({ count: 40, seed: 5 }).map(
      ({ text, label }) => `"${text}",${label ? "good" : "bad"}`,
    );
    const table = `text,label\n${rows.join("\n")}\n`;
    const sentence = "The songs were charming, and the film is a joy.";
    let files: Record<string, Uint8Array>;
    afterAll(() => rmSync(folder, { recursive: true }));

    test("a CSV is trained on; what is exported predicts the same in Node and in Transformers", async () => {
      writeFileSync(csv, table);
      const { page, errors } = await open({ max_steps: 4, eval_steps: 4, sentence });
      await page.locator("#play-pick-files").setInputFiles(csv);
      await press(page, "Train");
      await ended(page, "Finished at update 4.");
      const score = await page.locator(".play-score").innerText();
      const downloading = page.waitForEvent("download");
      await press(page, "Export run-1 as .zip");
      const zip = join(folder, "run-1.zip");
      await (await downloading).saveAs(zip);
      files = unzipSync(readFileSync(zip));
      expect(Object.keys(files).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training_args.json"]); // prettier-ignore
      mkdirSync(model);
      for (const [name, bytes] of Object.entries(files)) writeFileSync(join(model, name), bytes);
      expect(errors).toEqual([]);
      await page.close();

      const cli = ["scripts/run.mjs", "packages/gpugrad/src/cli.ts", "predict", model, sentence, "--json"];
      const root = fileURLToPath(new URL("../../../", import.meta.url));
      const { stdout } = await promisify(execFile)(process.execPath, cli, { cwd: root });
      const { label, score: own } = JSON.parse(stdout) as { label: string; score: number };
      expect(`${label} ${(100 * own).toFixed(1)} %`).toBe(score);
      const python = pythonWith("torch", "transformers");
      if (!python) return;
      const program = `
import json, sys, torch
from transformers import pipeline
folder, text = json.loads(sys.argv[1])
print(json.dumps(pipeline("text-classification", model=folder)(text)[0]))`;
      const theirs = (await python(program, [model, sentence])) as { label: string; score: number };
      expect(theirs.label).toBe(label);
      expect(Math.abs(theirs.score - own)).toBeLessThan(1e-5);
    });

    test("a model and a dataset of a hub, and the model as a folder, are trained on", async () => {
      const hub = await startFakeHub(files);
      const rowsFile = {
        type: "file",
        path: "train.csv",
        size: table.length,
        oid: blobIdOf(new TextEncoder().encode(table)),
      };
      hub.lies.answer = (request, response) => {
        response.setHeader("Access-Control-Allow-Origin", "*").setHeader("Access-Control-Allow-Headers", "*");
        if (request.method === "OPTIONS") return (response.end(), true);
        if (!request.url!.includes("/datasets/") || request.url!.includes("/revision/")) return false;
        return (response.end(request.url!.startsWith("/api/") ? JSON.stringify([rowsFile]) : table), true);
      };
      try {
        const own = { endpoint: hub.endpoint, data: "hub", dataset: "me/reviews", max_steps: 2, eval_steps: 2, max_train_samples: 16 }; // prettier-ignore
        const { page, errors } = await open({ ...own, model: "hub", model_name_or_path: "me/model" });
        await press(page, "Train");
        await ended(page, "Finished at update 2.");
        await page.locator("#play-pick-folder").setInputFiles(model);
        await press(page, "Train");
        await ended(page, "Finished at update 2.");
        await page.getByRole("button", { name: "Show run-2" }).waitFor();
        expect(errors).toEqual([]);
        await page.close();
      } finally {
        hub.close();
      }
    });
  });

  test("a value that can't be is said at its field, and nothing starts", async () => {
    const { page } = await open({ learning_rate: -1 });
    await page.getByText("it can't be negative").waitFor();
    expect(await page.getByRole("button", { name: "Train", exact: true }).isDisabled()).toBe(true);
    await page.locator("#play-learning_rate").fill("0.001");
    expect(await page.getByRole("button", { name: "Train", exact: true }).isEnabled()).toBe(true);
    expect(fromHash(new URL(page.url()).hash).learning_rate).toBe(0.001);
    await page.close();
  });

  test("settings are in the address, and come out of it", () => {
    const settings = { ...DEFAULTS, learning_rate: 1e-4, model: "hub", sentence: "Ähm, 100 % & more." };
    expect(fromHash(`#${toHash(settings)}`)).toEqual(settings);
    expect(toHash(DEFAULTS)).toBe("");
    expect(fromHash("#nonsense=1&seed=7")).toEqual({ ...DEFAULTS, seed: 7 });
  });
});
