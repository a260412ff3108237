// The playground: a worker trains with the real Trainer, on a CPU driver.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { Page, Worker } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { init } from "@gpugrad/tensor";
import { generateReviews } from "@gpugrad/train";
import { blobIdOf, startFakeHub } from "../../../packages/bert/test/fake-hub.ts";
import { pythonWith } from "../../../scripts/python-for-tests.ts";
import { freshRecord, type RunRecord } from "../src/play/events.ts";
import { Job } from "../src/play/job.ts";
import { DEFAULTS, fromHash, toHash, type Settings } from "../src/play/settings.ts";
import type { Audit } from "./audit.ts";
import type { OpenSite } from "./open-site.ts";

const SETTINGS: Settings = {
  ...DEFAULTS,
  ...{ train_rows: 48, eval_rows: 16, vocab_size: 200, hidden_size: 16, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, intermediate_size: 16, per_device_train_batch_size: 4, dropout: 0.1 },
  ...{ max_steps: 20, eval_steps: 10, look_steps: 4, save_steps: 4 },
};

const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

/** Waits until the page says how a run ended. @throws what it says where the run failed */
async function ended(page: Page, how: string | RegExp): Promise<void> {
  const failed = page.locator(".play-error");
  await page.locator(".status", { hasText: how }).or(failed).first().waitFor();
  if (await failed.count()) throw new Error(await failed.innerText());
}

/** Trains to the end. The status alone would not do: that of the run before may say the same. */
async function train(page: Page, run: string, how: string): Promise<void> {
  await press(page, "Train");
  await page
    .getByRole("button", { name: `Show ${run}` })
    .or(page.locator(".play-error"))
    .first()
    .waitFor();
  await ended(page, how);
}

/** A file of the browser's own file system: its text, and its SHA-256. */
const readOrigin = (page: Page, path: string): Promise<{ text: string; hash: string }> =>
  page.evaluate(async (path) => {
    const names = path.split("/");
    let folder = await navigator.storage.getDirectory();
    for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name);
    const file = await (await folder.getFileHandle(names.at(-1)!)).getFile();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    return { text: await file.text(), hash: Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  }, path);

const recordOf = async (page: Page, run: string) =>
  JSON.parse((await readOrigin(page, `runs/${run}/run.json`)).text) as RunRecord;
const lossesOf = async (page: Page, run: string) => (await recordOf(page, run)).steps.map(({ loss }) => loss);

/** Whether two runs ended with the same weights, moments and random numbers to come. */
async function expectSameEnd(page: Page, a: string, b: string): Promise<void> {
  for (const file of ["model.safetensors", "optimizer.safetensors", "rng_state.json", "scheduler.json"]) {
    const [one, other] = [a, b].map((run) => readOrigin(page, `runs/${run}/checkpoint-20/${file}`));
    expect((await one)!.hash, `${file} of ${a} and ${b}`).toBe((await other)!.hash);
  }
}

/** Keeps the devices that a worker asks for, so that one can be lost. */
const watchDevices = (worker: Worker): Promise<void> =>
  worker.evaluate(() => {
    const kept: GPUDevice[] = ((globalThis as unknown as { devices: GPUDevice[] }).devices = []);
    const { requestDevice } = Object.getOwnPropertyDescriptors(GPUAdapter.prototype);
    GPUAdapter.prototype.requestDevice = async function (...given) {
      const device = await requestDevice.value!.apply(this, given);
      kept.push(device);
      return device;
    };
  });

/** Lets go of files or folders above an element, as somebody who dragged them there. */
async function drop(page: Page, selector: string, files: string[]): Promise<void> {
  await page.locator(selector).scrollIntoViewIfNeeded();
  const box = (await page.locator(selector).boundingBox())!;
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2, data: { items: [], files, dragOperationsMask: 1 } };
  const session = await page.context().newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"] as const)
    await session.send("Input.dispatchDragEvent", { type, ...at });
  await session.detach();
}

/**
 * All in one page, whose worker keeps its device: kernels are compiled three times only, for the page, after it is reloaded, and after
 * the device is lost.
 */
export function testPlayground(site: () => OpenSite, audit: Audit): void {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-play-"));
  const [csv, jsonl, parquet, model] = ["rows.csv", "rows.jsonl", "rows.parquet", "model"].map((name) => join(folder, name)) as [string, string, string, string]; // prettier-ignore
  const rows = generateReviews({ count: 40, seed: 5 }).map(({ text, label }) => ({ text, label: label ? "good" : "bad" })); // prettier-ignore
  const table = `text,label\n${rows.map(({ text, label }) => `"${text}",${label}`).join("\n")}\n`;
  const sentence = "The songs were charming, and the film is a joy.";
  let page: Page;
  let errors: string[];
  let files: Record<string, Uint8Array>;
  afterAll(() => rmSync(folder, { recursive: true }));

  test("settings are in the address, and come out of it", () => {
    const settings = { ...DEFAULTS, learning_rate: 1e-4, model: "hub", sentence: "Ähm, 100 % & more." };
    expect(fromHash(`#${toHash(settings)}`)).toEqual(settings);
    expect(toHash(DEFAULTS)).toBe("");
    expect(fromHash("#nonsense=1&seed=7")).toEqual({ ...DEFAULTS, seed: 7 });
  });

  test("a value that can't be is said at its field, and nothing starts", async () => {
    ({ page, errors } = await site().open(`play.html#${toHash({ ...SETTINGS, learning_rate: -1 })}`, { acceptDownloads: true })); // prettier-ignore
    await page.getByText("it can't be negative").waitFor();
    expect(await page.getByRole("button", { name: "Train", exact: true }).isDisabled()).toBe(true);
    await page.locator("#play-learning_rate").fill(`${SETTINGS.learning_rate}`);
    expect(await page.getByRole("button", { name: "Train", exact: true }).isEnabled()).toBe(true);
    expect(fromHash(new URL(page.url()).hash)).toEqual(SETTINGS);
  });

  test("20 updates in a worker have the losses of Node's on the same driver", async () => {
    await init();
    const job = await Job.open(freshRecord("node", { ...SETTINGS }), { emit: () => undefined });
    const inNode = job.run(); // beside the page
    await press(page, "Train");
    await ended(page, "Finished at update 20.");
    expect(await page.locator(".play-confusion td.right").count()).toBe(2);
    expect(await page.locator(".play-neighbours li").count()).toBe(5);
    expect(await page.locator(".play-token-row").count()).toBe(2); // attributions before training, and now
    await audit.look(page);
    await inNode;
    const losses = job.record.steps.map(({ loss }) => loss);
    const theirs = await lossesOf(page, "run-1");
    expect([losses.length, theirs.length]).toEqual([20, 20]);
    for (const [i, loss] of theirs.entries())
      expect(Math.abs(loss - losses[i]!), `update ${i + 1}: ${loss} in the browser, ${losses[i]} in Node`).toBeLessThan(1e-5); // prettier-ignore
    expect(errors).toEqual([]);
  });

  test("paused, reloaded and resumed, a run ends with the bytes of one that was not disturbed", async () => {
    await page.getByText("More arguments").click();
    await page.locator("#play-look_steps").fill("1"); // looks change nothing, and leave time to press Pause
    await press(page, "Train");
    await page.locator(".play-numbers dd", { hasText: /^([3-9]|1\d) of 20/ }).waitFor();
    await press(page, "Pause");
    await ended(page, /Paused at update \d+\./);
    const at = Number(/update (\d+)/.exec(await page.locator(".status").innerText())![1]);
    expect(at).toBeLessThan(20);
    await page.reload();
    await ended(page, `run-2, as it was kept at update ${at}.`);
    await watchDevices(page.workers()[0]!);
    await press(page, "Resume");
    await ended(page, "Finished at update 20.");
    await page.getByLabel("Compare run-1").check();
    await page.locator(".play-charts", { hasText: "run-1" }).waitFor();
    await expectSameEnd(page, "run-1", "run-2");
    expect(errors).toEqual([]);
  });

  test("a device that is lost is replaced, and the run ends with the same bytes", async () => {
    await press(page, "Train");
    await page.locator(".play-numbers dd", { hasText: /^([5-9]|1\d) of 20/ }).waitFor();
    await page.workers()[0]!.evaluate(() => (globalThis as unknown as { devices: GPUDevice[] }).devices.at(-1)!.destroy()); // prettier-ignore
    await ended(page, /There is a new one, and training continues from runs\/run-3\/checkpoint-/);
    await ended(page, "Finished at update 20.");
    await expectSameEnd(page, "run-1", "run-3");
    expect(errors).toEqual([]);
  });

  test("a CSV is trained on; what is exported predicts the same in Node and in Transformers", async () => {
    writeFileSync(csv, table);
    await page.locator("#play-max_steps").fill("2");
    await page.locator("#play-sentence").fill(sentence);
    await page.locator("#play-pick-files").setInputFiles(csv);
    await train(page, "run-4", "Finished at update 2.");
    const score = await page.locator(".play-score").innerText();
    const downloading = page.waitForEvent("download");
    await press(page, "Export .zip of run-4");
    const zip = join(folder, "run-4.zip");
    await (await downloading).saveAs(zip);
    files = unzipSync(readFileSync(zip));
    expect(Object.keys(files).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training_args.json"]); // prettier-ignore
    mkdirSync(model);
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(model, name), bytes);

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

  test("a folder that is picked gets the files of the .zip", async () => {
    await page.evaluate(async () => {
      const picked = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked", { create: true });
      Object.assign(window, { showDirectoryPicker: () => Promise.resolve(picked) });
    });
    await press(page, "Export to folder: run-4");
    await ended(page, "Folder picked: ");
    for (const [name, bytes] of Object.entries(files))
      expect((await readOrigin(page, `picked/${name}`)).hash, name).toBe(
        createHash("sha256").update(bytes).digest("hex"),
      );
  });

  test("the same rows as JSONL that is dropped, and as parquet that is picked, have the losses of the CSV", async () => {
    writeFileSync(jsonl, rows.map((row) => JSON.stringify(row)).join("\n"));
    const columns = (["text", "label"] as const).map((name) => ({ name, data: rows.map((row) => row[name]), type: "STRING" as const })); // prettier-ignore
    writeFileSync(parquet, new Uint8Array(parquetWriteBuffer({ columnData: columns, codec: "SNAPPY" })));
    const wanted = await lossesOf(page, "run-4");
    await drop(page, ".play-drop:has(#play-pick-files)", [jsonl]);
    await page.locator(".play-drop", { hasText: "rows.jsonl" }).waitFor();
    await train(page, "run-5", "Finished at update 2.");
    expect(await lossesOf(page, "run-5")).toEqual(wanted);
    await page.locator("#play-pick-files").setInputFiles(parquet);
    await train(page, "run-6", "Finished at update 2.");
    expect(await lossesOf(page, "run-6")).toEqual(wanted);
    expect(errors).toEqual([]);
  });

  test("a model and a dataset of a hub, and the model as a folder that is dropped, are trained on", async () => {
    const hub = await startFakeHub(files);
    const rowsFile = { type: "file", path: "train.csv", size: table.length, oid: blobIdOf(new TextEncoder().encode(table)) }; // prettier-ignore
    hub.lies.answer = (request, response) => {
      response.setHeader("Access-Control-Allow-Origin", "*").setHeader("Access-Control-Allow-Headers", "*");
      if (request.method === "OPTIONS") return (response.end(), true);
      if (!request.url!.includes("/datasets/") || request.url!.includes("/revision/")) return false;
      return (response.end(request.url!.startsWith("/api/") ? JSON.stringify([rowsFile]) : table), true);
    };
    try {
      await page.locator("#play-endpoint").fill(hub.endpoint);
      await page.locator("#play-data").selectOption("hub");
      await page.locator("#play-dataset").fill("me/reviews");
      await page.locator("#play-model").selectOption("hub");
      await page.locator("#play-model_name_or_path").fill("me/model");
      await train(page, "run-7", "Finished at update 2.");
      expect(hub.requests.filter(({ url }) => /me\/model.*model\.safetensors/.test(url)).length).toBeGreaterThan(0);
      await drop(page, ".play-drop:has(#play-pick-folder)", [model]);
      await page.locator(".play-drop", { hasText: "model.safetensors" }).waitFor();
      await train(page, "run-8", "Finished at update 2.");
      expect(await lossesOf(page, "run-8")).toEqual(await lossesOf(page, "run-7"));
      expect(errors).toEqual([]);
      await page.close();
    } finally {
      hub.close();
    }
  });
}
