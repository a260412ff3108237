// The report of a run of the Trainer itself, and what an open page does when a run falls silent.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { destroy, init } from "@gpugrad/tensor";
import { Dataset, Trainer, type StepEvent, type TrainerCallback } from "@gpugrad/train";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { reportIn } from "../src/report/page.ts";
import { args, dataset, tinyModel, tokenizer } from "./tiny-task.ts";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

const folder = mkdtempSync(join(tmpdir(), "gpugrad-report-"));
beforeAll(async () => void (await init()));
afterAll(async () => {
  await destroy();
  rmSync(folder, { recursive: true, force: true });
});

const reported = { ...args, maxSteps: 12, saveSteps: 4, saveTotalLimit: 4, reportTo: ["html"] };
const reportOf = (outputDir: string) => reportIn(readFileSync(join(outputDir, "report.html"), "utf8"))!;

/** A Trainer with a report, and the results that a callback of its own gets; it fails at an update, if one is given. */
function watched(outputDir: string, failsAt?: number) {
  const results = new Map<number, StepEvent>();
  const callback: TrainerCallback = {
    onStepResult(_args, _state, _control, { result }) {
      if (result!.step === failsAt) throw new Error("the power is out");
      results.set(result!.step, result!);
    },
    // Callbacks come before reports: it is the page that a killed run would have left.
    onTrainError: () => copyFileSync(join(outputDir, "report.html"), join(outputDir, "killed.html")),
  };
  const trainer = new Trainer({
    ...{ model: tinyModel(), tokenizer, trainDataset: dataset, evalDataset: dataset, callbacks: [callback] },
    args: { ...reported, outputDir },
  });
  return { trainer, results };
}

describe("a run that fails", () => {
  const outputDir = join(folder, "fails");

  test("has every update up to its checkpoint; resumed, each of them once", async () => {
    const first = watched(outputDir, 11);
    await expect(first.trainer.train()).rejects.toThrow("the power is out");
    const left = reportOf(outputDir);
    expect(left.status).toBe("failed");
    expect(left.history.curves.loss.points.at(-1)!.step).toBeGreaterThanOrEqual(8);

    rmSync(join(outputDir, "checkpoint-8"), { recursive: true }); // so that the page is ahead of the checkpoint
    const second = watched(outputDir);
    await second.trainer.train({ resumeFromCheckpoint: true });
    const { status, history, evaluation } = reportOf(outputDir);
    expect(status).toBe("finished");
    const expected = [1, 2, 3, 4].map((step) => first.results.get(step)!).concat([...second.results.values()]);
    for (const name of ["loss", "gradNorm", "learningRate"] as const) {
      const { points } = history.curves[name];
      expect(points.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
      const off = points.map(({ mean }, i) => Math.abs(mean - expected[i]![name]) / (Math.abs(mean) + 1e-12));
      expect(Math.max(...off)).toBeLessThan(1e-7); // eight digits are kept
    }
    const lengths = expected.flatMap((result) => result.lengths);
    expect(history.lengths).toEqual(
      Array.from({ length: Math.max(...lengths) + 1 }, (_, n) => lengths.filter((length) => length === n).length),
    );
    const logged = second.trainer.state.logHistory.filter((entry) => "eval_loss" in entry);
    expect(history.evaluations.map(({ step, metrics }) => [step, metrics["eval_loss"]])).toEqual(
      logged.map((entry) => [entry["step"], entry["eval_loss"]]),
    );
    const right = evaluation!.classes!.confusions.reduce((sum, [label, said, rows]) => sum + (label === said ? rows : 0), 0); // prettier-ignore
    expect(right / dataset.length).toBeCloseTo(logged.at(-1)!["eval_accuracy"]!, 6);
    expect(right + evaluation!.wrong).toBe(dataset.length);
  });
});

test("it says where the model is, once that is saved there; callbacks are called, too", async () => {
  const outputDir = join(folder, "saved");
  const { trainer } = watched(outputDir);
  const folders: string[] = [];
  trainer.addCallback({ onSaveModel: (_args, _state, _control, { folder }) => void folders.push(folder!) });
  await trainer.train();
  const where = "The model is in <code>saved</code>.";
  const page = (): string => readFileSync(join(outputDir, "report.html"), "utf8");
  const elsewhere = join(folder, "elsewhere");
  await trainer.saveModel(elsewhere);
  expect(page()).not.toContain(where);
  await trainer.saveModel();
  expect(page()).toContain(where);
  expect(folders).toEqual([elsewhere, outputDir]);
});

test("a report that can't be written is a warning", async () => {
  const outputDir = join(folder, "unwritable");
  mkdirSync(join(outputDir, "report.html.tmp"), { recursive: true });
  const warnings: string[] = [];
  const { trainer } = watched(outputDir);
  trainer.addCallback({ onWarning: (_args, _state, _control, { warning }) => void warnings.push(warning!) });
  await trainer.train();
  expect(warnings).toEqual([expect.stringMatching(/the report can't be written: EISDIR.* The run continues\.$/)]);
});

describe.skipIf(!executablePath)("in Chromium (needs chromium: apt-get install chromium)", () => {
  let browser: Browser;
  beforeAll(async () => void (browser = await chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox"] }))); // prettier-ignore
  afterAll(() => browser.close());

  test("a page whose run is silent stops calling it training, then stops loading itself", async () => {
    const outputDir = join(folder, "silent");
    await expect(watched(outputDir, 7).trainer.train()).rejects.toThrow("the power is out");
    const written = Date.parse(reportOf(outputDir).writtenAt);
    const page: Page = await browser.newPage();
    let loads = 0;
    page.on("load", () => loads++);
    await page.clock.install({ time: written + 1000 });
    await page.goto(pathToFileURL(join(outputDir, "killed.html")).href);
    const status = (): Promise<string> => page.locator("#status").innerText();
    expect(await status()).toBe("training");
    expect(await page.locator("#stale").isVisible()).toBe(false);

    const loaded = page.waitForEvent("load");
    await page.clock.fastForward(11 * 60_000);
    await loaded;
    expect(await status()).toBe("no news for 11 minutes");

    await page.clock.setSystemTime(written + 3 * 3600_000);
    const before = loads;
    await page.clock.runFor(120_000);
    expect(await status()).toBe("no news for 3 hours");
    expect(await page.locator("#stale").innerText()).toContain("This page no longer reloads itself.");
    expect(loads).toBe(before);
  });

  test("a pair of texts and names that are markup are shown as they are", async () => {
    const outputDir = join(folder, "markup");
    const markup = `<script>attacked = 1</script></script>`;
    const rows = Array.from({ length: 8 }, (_, i) => ({
      text: `abc ${markup}`,
      text_pair: `"${markup}'`,
      label: i % 2,
    }));
    const trainer = new Trainer({
      model: tinyModel(),
      tokenizer: {
        ...tokenizer,
        encodeBatch: (texts, how) =>
          tokenizer.encodeBatch(
            texts.map(() => "abcde"),
            how,
          ),
      },
      trainDataset: Dataset.fromRows(rows, { name: markup, labelNames: [`no ${markup}`, `yes ${markup}`] }),
      evalDataset: Dataset.fromRows(rows, { name: markup, labelNames: [`no ${markup}`, `yes ${markup}`] }),
      args: { ...reported, maxSteps: 2, evalSteps: 2, outputDir, runName: markup },
    });
    await trainer.train();
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(pathToFileURL(join(outputDir, "report.html")).href);
    expect(complaints).toEqual([]);
    expect(await page.evaluate(() => "attacked" in window)).toBe(false);
    expect(await page.locator("h1").innerText()).toBe(markup);
    const mistakes = await page.locator(".mistakes li").first().innerText();
    for (const text of [`abc ${markup}`, `"${markup}'`, `no ${markup}`, `yes ${markup}`])
      expect(mistakes).toContain(text);
  });
});
