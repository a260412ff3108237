// The report of runs whose events are made by hand: its numbers are those of the events, or known from elsewhere.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { BertConfig } from "@gpugrad/bert";
import { init } from "@gpugrad/tensor";
import { parseHTML } from "linkedom";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { CallbackContext, TrainerCallback } from "../trainer/callbacks.ts";
import { Dataset, type Row } from "../data/dataset.ts";
import { regression } from "../tasks/regression/regression.ts";
import { textClassification } from "../tasks/text-classification/text-classification.ts";
import { predictionsOf } from "../tasks/sequence-classification/predictions.ts";
import type { TrainerControl, TrainerState } from "../trainer/trainer-state.ts";
import { trainingArguments, type TrainingArguments } from "../arguments/training-arguments.ts";
import { Curve, History } from "./history.ts";
import { htmlReport } from "./html-report.ts";
import { page, reportIn, type Report } from "./page.ts";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

const folder = mkdtempSync(join(tmpdir(), "gpugrad-report-"));
let folders = 0;
const newFolder = (): string => join(folder, `run-${++folders}`);

beforeAll(() => init());
afterEach(() => void vi.useRealTimers());
afterAll(() => rmSync(folder, { recursive: true }));

const ATTACK = `</script><script>window.attacked = true</script><img src=x onerror="attacked = true">`;

/** A run whose events a report gets one by one. */
function run(
  outputDir: string,
  { names = ["neg", "pos"], ...given }: Partial<TrainingArguments> & { names?: string[]; runName?: string } = {},
) {
  // prettier-ignore
  const report: TrainerCallback = htmlReport({ outputDir, runName: given.runName ?? null });
  const args = trainingArguments({ outputDir, ...given });
  const id2label = Object.fromEntries(names.map((name, id) => [id, name]));
  const config = new BertConfig({ num_hidden_layers: 2, hidden_size: 128, num_attention_heads: 2, id2label });
  const context = { task: {}, model: { config, parameters: () => [{ size: 12_345 }] } } as unknown as CallbackContext;
  const state: TrainerState = {
    ...{ epoch: 0, globalStep: 0, maxSteps: 40, numTrainEpochs: 2, trainBatchSize: 8, loggingSteps: 10, evalSteps: 10 },
    ...{
      saveSteps: 10,
      totalFlos: 0,
      logHistory: [],
      bestMetric: null,
      bestGlobalStep: null,
      bestModelCheckpoint: null,
    },
    statefulCallbacks: {},
  };
  const emit = async (
    event: Exclude<keyof TrainerCallback, "state" | "loadState">,
    more: Partial<CallbackContext> = {},
  ) => report[event]?.(args, state, {} as TrainerControl, { ...context, ...more });
  return {
    report: () => reportIn(readFileSync(join(outputDir, "report.html"), "utf8"))!,
    state,
    begin: () => emit("onTrainBegin"),
    end: () => emit("onTrainEnd"),
    /** Losses that take at most four digits, so that the page shows all of them. */
    async step(step: number, given: { loss?: number; lengths?: number[] } = {}) {
      const { loss = lossAt(step), lengths = [3, 5] } = given;
      state.globalStep = step;
      state.epoch = step / 20;
      await emit("onStepResult", {
        result: {
          ...{
            step,
            totalSteps: state.maxSteps,
            loss,
            gradNorm: (200 + step) / 100,
            learningRate: step * 1e-6,
            lengths,
          },
          ...{ epoch: state.epoch, tokensPerSecond: 1234, secondsLeft: 125 },
        },
      });
    },
    async evaluate(rows: readonly Row[], logits: readonly number[], metrics: Record<string, number>) {
      const labels = rows.map(({ label }) => label!);
      const predictions = predictionsOf(Float32Array.from(logits), logits.length / rows.length, labels);
      const dataset = Dataset.fromRows(rows, { name: "/home/jane/reviews" });
      state.logHistory.push({ ...metrics, step: state.globalStep, epoch: state.epoch });
      const task = predictions.numLabels === 1 ? regression : textClassification(config);
      await emit("onEvaluate", { task, metrics, prediction: { ...predictions, dataset, metrics } });
    },
    async test(rows: readonly Row[], logits: readonly number[], metrics: Record<string, number>) {
      const labels = rows.flatMap(({ label }) => label ?? []);
      const predictions = predictionsOf(Float32Array.from(logits), logits.length / rows.length, labels);
      const prediction = { ...predictions, labels: labels.length > 0 ? labels : undefined };
      const dataset = Dataset.fromRows(rows, { name: "/home/jane/held-out" });
      await emit("onPredict", { metrics, prediction: { ...prediction, dataset, metrics } });
    },
  };
}

const lossAt = (step: number): number => (1000 - step) / 1000;

// In the order of scikit-learn's example for roc_auc_score, whose area is 0.75: three of four pairs are ordered as they should be.
const OF_ONE = [0.12, 0.43, 0.37, 0.82];
const LABELS = [0, 0, 1, 1];
const CALIBRATION_ERROR = 0.34; // (0.12 + 0.43 + 0.63 + 0.18) / 4: no bin has a right and a wrong one
const logits = OF_ONE.flatMap((p) => [0, Math.log(p / (1 - p))]);
const reviews = (text: (i: number) => string): Row[] => LABELS.map((label, i) => ({ text: text(i), label }));

describe.skipIf(!executablePath)("in Chromium (needs chromium: apt-get install chromium)", () => {
  let browser: Browser;
  const complaints: string[] = [];
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
  });
  afterAll(() => browser.close());
  afterEach(() => expect(complaints.splice(0)).toEqual([]));

  const open = async (outputDir: string, options: Parameters<Browser["newPage"]>[0] = {}): Promise<Page> => {
    const page = await browser.newPage(options);
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => void (request.url().startsWith("file:") || complaints.push(request.url())));
    await page.clock.install();
    await page.goto(pathToFileURL(join(outputDir, "report.html")).href);
    return page;
  };
  const tips = (page: Page, title: string): Promise<string[]> =>
    page.locator("figure", { has: page.getByRole("heading", { name: title, exact: true }) }).first().locator("svg title").allTextContents(); // prettier-ignore

  test("a finished run: the numbers of its events, in every chart", async () => {
    const outputDir = newFolder();
    const events = run(outputDir, { metricForBestModel: "accuracy", hubToken: "hf_verysecret", learningRate: 3e-4 });
    await events.begin();
    for (let step = 1; step <= 40; step++) {
      await events.step(step, { lengths: step === 40 ? [7] : [3, 5] });
      if (step === 20) await events.evaluate(reviews(String), [...logits].reverse(), { eval_loss: 0.9876, eval_accuracy: 0.25 }); // prettier-ignore
    }
    Object.assign(events.state, {
      bestMetric: 0.75,
      bestGlobalStep: 40,
      bestModelCheckpoint: "/home/jane/checkpoint-40",
    });
    await events.evaluate(reviews((i) => `Review ${i}`), logits, { eval_loss: 0.4321, eval_accuracy: 0.75 }); // prettier-ignore
    await events.end();
    const page = await open(outputDir);

    const steps = Array.from({ length: 40 }, (_, i) => i + 1);
    expect((await tips(page, "Loss")).map((tip) => tip.split("\n").slice(0, 2))).toEqual(
      steps.map((step) => [`update ${step}`, String(lossAt(step))]),
    );
    expect((await tips(page, "Gradient norm")).map((tip) => tip.split("\n")[1])).toEqual(
      steps.map((step) => String((200 + step) / 100)),
    );
    expect((await tips(page, "Learning rate"))[19]).toBe("update 20\n2.000e-5");
    expect(await tips(page, "Confusion matrix")).toEqual([
      "neg predicted as neg\n2 of 2 rows",
      "pos predicted as neg\n1 of 2 rows",
      "pos predicted as pos\n1 of 2 rows",
    ]);
    expect(await tips(page, "Tokens per row")).toEqual(
      ["3 tokens\n39 rows", "4 tokens\n0 rows", "5 tokens\n39 rows", "6 tokens\n0 rows", "7 tokens\n1 rows"],
    ); // prettier-ignore
    const text = await page.locator("body").innerText();
    expect(text).toContain("area under the curve 0.75,");
    expect(text).toContain(`expected calibration error ${CALIBRATION_ERROR}`);
    // 39 × 2 of 39 × 10 + 7 are padding.
    expect(text).toContain(`${((100 * 39 * 2) / (39 * 10 + 7)).toFixed(1)} % of what was computed was padding`);
    expect(text).toContain("40 updates done");
    expect(text).toContain("The best accuracy is 0.75, after update 40.");
    expect(text).toContain("1.23 k"); // tokens per second
    expect(text).toContain("0.4321");
    expect((await tips(page, "accuracy")).map((tip) => tip.replace(/[^\d.]+/g, " ").trim())).toEqual([
      "20 0.2500",
      "40 0.7500",
    ]);
    expect(text).toMatch(/neg at 63.0 %, but it is pos\s+row 2\s+Review 2/);
    expect(text).toMatch(/learningRate\s+0.0003 \(default 0.00005\)/);
    expect(await page.locator("figure svg").count()).toBe(6 + 2 + 3);

    const html = readFileSync(join(outputDir, "report.html"), "utf8");
    for (const secret of ["jane", "verysecret", "hubToken", folder]) expect(html).not.toContain(secret);

    await page.locator(".bands rect").nth(9).hover();
    expect(await page.locator("#tip").innerText()).toContain(`update 10\n${lossAt(10)}`);
  });

  test("texts and names are text, whatever they hold; long ones open", async () => {
    const outputDir = newFolder();
    const events = run(outputDir, { names: [ATTACK, `"pos" & ${ATTACK}`], runName: ATTACK });
    await events.begin();
    await events.step(1);
    const long = `${ATTACK} ${"word ".repeat(400)}end`;
    await events.evaluate(reviews(() => long), logits, { eval_loss: 1 }); // prettier-ignore
    await events.end();
    const page = await open(outputDir);
    expect(await page.evaluate(() => "attacked" in window)).toBe(false);
    expect(await page.locator("script").count()).toBe(2);
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.locator("h1").innerText()).toBe(ATTACK);
    expect((await tips(page, "Confusion matrix"))[0]).toContain(`${ATTACK} predicted as ${ATTACK}`);
    const whole = page.locator(".mistakes details p");
    expect(await whole.isVisible()).toBe(false);
    await page.locator(".mistakes summary").click();
    expect(await whole.innerText()).toBe(long);
  });

  test("light and dark; no wider than a phone", async () => {
    const outputDir = newFolder();
    const events = run(outputDir);
    await events.begin();
    for (let step = 1; step <= 15; step++) await events.step(step);
    const word = "unbreakable".repeat(30);
    await events.evaluate(reviews(() => word), logits, Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`eval_metric_${i}`, i]))); // prettier-ignore
    await events.end();
    const brightness = (page: Page, property: "color" | "backgroundColor"): Promise<number> =>
      page.evaluate((of) => Number(/\d+/.exec(getComputedStyle(document.body)[of])![0]), property);
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await open(outputDir, { colorScheme, viewport: { width: 390, height: 844 } });
      const isDark = (await brightness(page, "backgroundColor")) < (await brightness(page, "color"));
      expect(isDark).toBe(colorScheme === "dark");
      for (const details of await page.locator("details").all()) await details.evaluate((one) => one.setAttribute("open", "")); // prettier-ignore
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    }
  });

  test("an open page follows the run and stays where it is", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const outputDir = newFolder();
    const events = run(outputDir);
    await events.begin();
    for (let step = 1; step <= 10; step++) await events.step(step);
    await written(outputDir, () => vi.advanceTimersByTimeAsync(60_000));
    vi.useRealTimers();
    const page = await open(outputDir, { viewport: { width: 800, height: 600 } });
    expect(await page.title()).toBe(`${basename(outputDir)}: 25 %`);
    await page.locator("#defaults summary").click();
    await page.evaluate(() => scrollTo(0, 700));

    for (let step = 11; step <= 40; step++) await events.step(step);
    await events.end();
    await page.clock.fastForward(6000);
    await page.waitForFunction((name) => document.title === `${name}: finished`, basename(outputDir));
    expect(await page.evaluate(() => Math.round(scrollY))).toBe(700);
    expect(await page.locator("#defaults").getAttribute("open")).not.toBeNull();
  });

  test("a regression: predicted against true; more classes than a matrix has room for", async () => {
    const regression = newFolder();
    const events = run(regression, { names: ["score"] });
    await events.begin();
    await events.evaluate([{ text: "low", label: 1 }, { text: "high", label: 4 }], [1.5, 2], { eval_pearson: 1 }); // prettier-ignore
    await events.end();
    const page = await open(regression);
    expect(await tips(page, "Predicted against true")).toEqual([
      "label 1\nprediction 1.500",
      "label 4\nprediction 2.000",
    ]);
    expect(await page.locator(".mistakes").innerText()).toMatch(
      /2 instead of 4: −2.*high.*1.5 instead of 1: \+0.5.*low/s,
    );
    expect(await page.getByRole("heading", { name: /ROC|Confusion/ }).count()).toBe(0);

    const many = newFolder();
    const classes = run(many, { names: Array.from({ length: 40 }, (_, i) => `class ${i}`) });
    await classes.begin();
    const logitsOf = (best: number): number[] => Array.from({ length: 40 }, (_, i) => (i === best ? 9 : 0));
    await classes.evaluate([{ text: "a", label: 3 }, { text: "b", label: 3 }, { text: "c", label: 7 }], [...logitsOf(5), ...logitsOf(5), ...logitsOf(7)], {}); // prettier-ignore
    await classes.end();
    const other = await open(many);
    expect(await other.getByRole("heading", { name: /ROC|Confusion matrix/ }).count()).toBe(0);
    expect(await other.locator("body").innerText()).toMatch(/Confused most often\s+label\s+predicted\s+rows\s+class 3\s+class 5\s+2/); // prettier-ignore
  });
});

/** Waits until a page is written that wasn't there before. */
async function written(outputDir: string, act: () => Promise<unknown>): Promise<void> {
  const file = join(outputDir, "report.html");
  const before = statSync(file).ino;
  await act();
  while (statSync(file).ino === before) await new Promise((resolve) => setImmediate(resolve));
}

/** A finished run of three classes that has everything a page can show. */
async function threeClasses(): Promise<Report> {
  const events = run(newFolder(), { names: ["good", "bad", "ugly"], metricForBestModel: "accuracy" });
  await events.begin();
  for (let step = 1; step <= 20; step++) await events.step(step, { loss: step === 7 ? NaN : lossAt(step) });
  const rows = [0, 1, 2, 2].map((label) => ({ text: "word ".repeat(300), text_pair: "pair", label }));
  const ofRows = [2, 0, 0, 2, 0, 0, 0, 0, 2, 0, 2, 0];
  Object.assign(events.state, { bestMetric: 0.5, bestGlobalStep: 10, bestModelCheckpoint: "checkpoint-10" });
  events.state.globalStep = 10;
  await events.evaluate(rows, ofRows, { eval_loss: 2, eval_accuracy: 0.5 });
  events.state.globalStep = 20;
  await events.evaluate(rows, ofRows, { eval_loss: 1, eval_accuracy: 0.5 });
  await events.end();
  await events.test(rows, ofRows, { test_loss: 1.5, test_accuracy: 0.5, test_runtime: 3 });
  return { ...events.report(), checkpoint: "checkpoint-20", hasModel: true, skippedSteps: 1, secondsLeft: 5 };
}

test.each([
  ["an element", "</title></style></textarea></svg><img src=x onerror=alert(1)><script>alert(2)</script>"],
  ["an attribute", `" onload="alert(1)" ' onclick='alert(2)' \` onfocus=\`alert(3)`],
  ["a comment, and characters already written as entities", "<!-- &lt;img src=x&gt; &amp;quot; -->"],
])("%s in every string of a run is text, in the page and in its drawings", async (_, attack) => {
  let strings = 0;
  const attacked = (value: unknown, key = ""): unknown => {
    if (typeof value === "string")
      return ["status", "writtenAt"].includes(key) ? value : `${attack} ${++strings} ${value}`;
    if (Array.isArray(value)) return value.map((item) => attacked(item));
    if (typeof value !== "object" || value === null) return value;
    const all = Object.entries(value).map(([name, item]) => [name, attacked(item, name)]);
    return Object.fromEntries(key === "metrics" ? [...all, [`eval_${attack}`, 0.25], [attack, NaN]] : all);
  };
  const plain = await threeClasses();
  const { history, ...rest } = attacked(JSON.parse(JSON.stringify(plain))) as Omit<Report, "history"> & {
    history: ReturnType<History["toJSON"]>;
  };
  const source = page({ ...rest, history: new History(history) });
  expect(strings).toBeGreaterThan(100);

  const elements = (html: string) => [...parseHTML(html).document.querySelectorAll("*")];
  const shapeOf = (html: string) => new Set(elements(html).map(({ tagName }) => tagName));
  expect([...shapeOf(source)].sort()).toEqual([...shapeOf(page(plain))].sort());
  expect(elements(source).filter(({ tagName }) => /^script$/i.test(tagName))).toHaveLength(2);
  const names = new Set(elements(source).flatMap((element) => [...element.attributes].map(({ name }) => name)));
  expect([...names].filter((name) => /^on|^src$|^href$/.test(name))).toEqual([]);
  const { document } = parseHTML(source);
  expect(document.querySelector("h1")!.textContent).toContain(attack);
  expect(document.querySelector("figure svg text, svg title")).not.toBeNull();
  expect([...document.querySelectorAll("table.texts td")].filter((cell) => cell.textContent.includes(attack)).length).toBeGreaterThan(10); // prettier-ignore
  expect([...document.querySelectorAll("svg title")].some((title) => title.textContent.includes(attack))).toBe(true);
});

test("a test's metrics are shown; one without labels measures nothing, and another training forgets them", async () => {
  const outputDir = newFolder();
  const events = run(outputDir);
  await events.begin();
  await events.end();
  await events.test([{ text: "nobody knows" }], [0, 1], { test_runtime: 1 });
  expect(events.report().test).toBeUndefined();
  await events.test(reviews(String), logits, { test_accuracy: 0.75, test_loss: 0.5, test_runtime: 1 });
  expect(events.report().test).toEqual({ dataset: "held-out", rows: 4, metrics: { test_accuracy: 0.75, test_loss: 0.5, test_runtime: 1 } }); // prettier-ignore
  const html = readFileSync(join(outputDir, "report.html"), "utf8");
  const text = parseHTML(html).document.body.textContent.replace(/\s+/g, " ");
  expect(text).toContain("The test gives accuracy 0.75 and loss 0.5.");
  expect(text).toMatch(/Test ?4 rows of held-out\. ?accuracy0\.75loss0\.5/);
  const again = run(outputDir);
  await again.begin();
  expect(again.report().test).toBeUndefined();
});

test("what isn't finite is shown as such, and drawn by none of the charts", async () => {
  const outputDir = newFolder();
  const events = run(outputDir);
  await events.begin();
  for (const step of [10, 20, 30]) {
    await events.step(step, { loss: NaN });
    await events.evaluate(reviews(String), step === 20 ? [NaN, 0, 0, Infinity, 1, 0, 0, 1] : logits.map(() => NaN), { eval_loss: NaN, eval_accuracy: step === 20 ? 0.5 : NaN, eval_f1: -Infinity }); // prettier-ignore
  }
  await events.end();
  const source = readFileSync(join(outputDir, "report.html"), "utf8");
  const { document } = parseHTML(source);
  expect([...document.querySelectorAll("svg")].map((svg) => svg.outerHTML).join()).not.toMatch(/NaN|Infinity/);
  expect(document.querySelector("#evaluations table")!.textContent).toMatch(/10 ?NaN ?NaN ?-?Infinity/);
  expect(document.body.textContent).toContain("4 with logits that aren't finite are left out");

  const again = run(outputDir); // reads the page
  again.state.globalStep = 20;
  again.state.logHistory = events.state.logHistory.slice(0, 2);
  await again.begin();
  expect(again.report().history.evaluations.map(({ metrics }) => metrics["eval_loss"])).toEqual([NaN, NaN]);

  const numbers = run(newFolder(), { names: ["score"] });
  await numbers.begin();
  await numbers.evaluate([1, 2, NaN, 3].map((label) => ({ text: "a", label })), [NaN, Infinity, 1, 3.5], { eval_mse: NaN }); // prettier-ignore
  await numbers.end();
  expect(numbers.report().evaluation).toMatchObject({ nonFinite: 3, pairs: [[3, 3.5]] });
});

test("labels are named as they are, even like secrets; paths are cut", async () => {
  const outputDir = newFolder();
  const resumeFromCheckpoint = "../../home/jane/run/checkpoint-4";
  const events = run(outputDir, { names: ["lost password", "secret"], resumeFromCheckpoint });
  await events.begin();
  const { changed, modelConfig } = events.report().facts!;
  expect(modelConfig).toContainEqual(["label2id", '{"lost password":0,"secret":1}']);
  expect(changed).toContainEqual(["resumeFromCheckpoint", "checkpoint-4", "none"]);
});

test("it is written every few seconds at most, and as a whole", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const outputDir = newFolder();
  const file = join(outputDir, "report.html");
  const events = run(outputDir);
  await events.begin();
  const first = statSync(file).ino;
  for (let step = 1; step <= 30; step++) await events.step(step);
  await vi.advanceTimersByTimeAsync(4900);
  expect(statSync(file).ino).toBe(first);
  expect(events.report().step).toBe(0);
  await written(outputDir, () => vi.advanceTimersByTimeAsync(200));
  expect(events.report().step).toBe(30);
  expect(existsSync(`${file}.tmp`)).toBe(false);
});

test("a resumed run continues with what was there up to its checkpoint", async () => {
  const outputDir = newFolder();
  const killed = run(outputDir);
  await killed.begin();
  for (let step = 1; step <= 30; step++) {
    await killed.step(step, { loss: step === 25 ? NaN : lossAt(step) });
    if (step % 10 === 0) await killed.evaluate(reviews(String), logits, { eval_loss: step });
  }
  await killed.end();
  expect(killed.report()).toMatchObject({ status: "stopped", evaluation: { step: 30 } });
  expect(killed.report().history.nonFinite).toEqual({ steps: [25], count: 1 });

  const again = run(outputDir);
  again.state.globalStep = 20;
  again.state.logHistory = killed.state.logHistory.filter(({ step }) => step! <= 20);
  await again.begin();
  for (let step = 21; step <= 40; step++) await again.step(step, { loss: step });
  await again.end();
  const { status, history, evaluation } = again.report();
  expect(status).toBe("finished");
  expect(history.curves.loss.points.map(({ step, mean }) => [step, mean])).toEqual(
    Array.from({ length: 40 }, (_, i) => [i + 1, i < 20 ? lossAt(i + 1) : i + 1]),
  );
  expect(history.evaluations.map(({ step, metrics }) => [step, metrics["eval_loss"]])).toEqual([[10, 10], [20, 20]]); // prettier-ignore
  expect(evaluation).toBeUndefined();
  expect(history.nonFinite.count).toBe(0);
  expect(history.lengths).toEqual([0, 0, 0, 40, 0, 40]); // updates 21 to 30 have the same rows again

  const fresh = run(outputDir);
  await fresh.begin();
  expect(fresh.report().history.curves.loss.points).toEqual([]);
});

test("evaluations are in order, also where the best model is evaluated once more at the end", async () => {
  const outputDir = newFolder();
  const events = run(outputDir, { loadBestModelAtEnd: true, evalStrategy: "steps", evalSteps: 10, saveSteps: 10 });
  await events.begin();
  for (let step = 1; step <= 40; step++) {
    await events.step(step);
    if (step % 10 !== 0) continue;
    if (step === 20) Object.assign(events.state, { bestMetric: 0.2, bestGlobalStep: 20, bestModelCheckpoint: "checkpoint-20" }); // prettier-ignore
    await events.evaluate(reviews(String), logits, { eval_loss: step / 100 });
  }
  await events.end();
  await events.evaluate(reviews(String), logits, { eval_loss: 0.2 });
  expect(events.report().history.evaluations.map(({ step }) => step)).toEqual([10, 20, 30, 40]);
});

test("a resumed run without a readable page has the curves of the log", async () => {
  const outputDir = newFolder();
  const killed = run(outputDir);
  await killed.begin();
  const file = join(outputDir, "report.html");
  truncateSync(file, Math.floor(statSync(file).size / 2));
  const again = run(outputDir);
  again.state.globalStep = 20;
  again.state.logHistory = [
    { step: 10, loss: 0.5, grad_norm: 2, learning_rate: 1e-5 },
    { step: 20, loss: 0.25, grad_norm: 1, learning_rate: 2e-5 },
    { step: 20, eval_loss: 0.3 },
  ];
  await again.begin();
  const { curves, evaluations } = again.report().history;
  expect(curves.loss.points.map(({ step, mean }) => [step, mean])).toEqual([[10, 0.5], [20, 0.25]]); // prettier-ignore
  expect(curves.gradNorm.points.map(({ mean }) => mean)).toEqual([2, 1]);
  expect(evaluations).toEqual([{ step: 20, metrics: { eval_loss: 0.3 } }]);
});

test("a folder that can't be written to does not end a run", async () => {
  const outputDir = newFolder();
  writeFileSync(outputDir, "a file");
  const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const events = run(outputDir);
  await events.begin();
  await events.step(1);
  await events.end();
  expect(warn.mock.calls).toEqual([[expect.stringMatching(/report\.html: the report can't be written: .*The run continues\./)]]); // prettier-ignore
  warn.mockRestore();
});

test("100,000 updates take no more room than some thousand, and no peak is lost", async () => {
  const curve = new Curve();
  const peak = 77_777;
  let sum = 0;
  for (let step = 1; step <= 100_000; step++) {
    const value = step === peak ? 50 : Math.sin(step);
    sum += value;
    curve.add(step, value);
  }
  const { points } = Curve.fromJSON(JSON.parse(JSON.stringify(curve)) as number[][]);
  expect(points.length).toBeGreaterThan(500);
  expect(points.length).toBeLessThanOrEqual(1024);
  expect(points.reduce((all, { count }) => all + count, 0)).toBe(100_000);
  expect(points.reduce((all, { count, mean }) => all + count * mean, 0)).toBeCloseTo(sum, 2);
  expect(points.at(-1)!.step).toBe(100_000);
  const highest = points.findIndex(({ max }) => max === 50);
  expect(points[highest]!.step).toBeGreaterThanOrEqual(peak);
  expect(points[highest - 1]!.step).toBeLessThan(peak);
});
