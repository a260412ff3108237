import { formatBytes, formatDuration, formatRate } from "../format.ts";
import { curveChart, lengthsChart, memoryChart, metricChart } from "./charts.ts";
import { spread, type Evaluation } from "./findings.ts";
import type { Fact, Facts } from "./facts.ts";
import { History } from "./history.ts";
import { lines, markup, trusted, type Html } from "./html.ts";
import client from "./page-client.js?raw";
import { mistakes, verdict } from "./page-findings.ts";
import { count, digits, figure, grid, metricName, percent, section, strong, tilesOf, updates } from "./page-parts.ts";
import style from "./page.css?raw";

/** SHA-256 of page-client.js in base64, by which the page's policy allows that script alone. A test compares. */
export const CLIENT_HASH = "qtCJr/iARAgEkik8k91TdJFpFqlKSi0nc1GzKOH+mhU=";

/** All that the page shows; the page has it as JSON, too, and is read back from there when a run is resumed. */
export interface Report {
  runName: string;
  /** The folder's own name. */
  outputDir: string;
  status: "training" | "finished" | "stopped" | "failed";
  step: number;
  totalSteps: number;
  epoch: number;
  totalEpochs: number;
  tokensPerSecond?: number;
  secondsLeft?: number;
  /** With `fp16`: updates left out. */
  skippedSteps?: number;
  best?: { metric: string; value: number; step: number; checkpoint?: string };
  /** The newest. */
  checkpoint?: string;
  /** Whether the output folder itself holds the model. */
  hasModel: boolean;
  facts?: Facts;
  evaluation?: Evaluation;
  /** That of the best model, where training ends with it. */
  bestEvaluation?: Evaluation;
  /** Of the test set: `test_loss`, …. */
  test?: { dataset: string; rows: number; metrics: Record<string, number> };
  history: History;
  /** When the page was written, as an ISO date. */
  writtenAt: string;
}

/** A report as one page that needs nothing else. */
export function page(report: Report): string {
  const { runName, status, evaluation } = report;
  const json = JSON.stringify(report).replaceAll("<", "\\u003c");
  return markup`<!doctype html>
    <html lang="en" data-status="${status}" data-written="${Date.parse(report.writtenAt)}">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${CLIENT_HASH}'">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${runName}: ${progressText(report)}</title>
        <style>${trusted(style)}</style>
      </head>
      <body>
        <header>
          <p class="status ${status}" id="status">${STATUS[status]}</p>
          <h1>${runName}</h1>
          ${progressBar(report)}
          <p id="stale" hidden></p>
          <div class="summary">${summary(report)}</div>
        </header>
        ${tiles(report)}
        ${section("Training", grid(trainingCharts(report)))}
        ${evaluations(report)}
        ${evaluation && verdict(evaluation)}
        ${evaluation && mistakes(evaluation)}
        ${report.test && tested(report.test)}
        ${report.facts && settings(report.facts)}
        <footer>Written ${report.writtenAt.slice(0, 16).replace("T", " ")} UTC by gpugrad.</footer>
        <div id="tip" role="status" hidden></div>
        <script type="application/json" id="report">${trusted(json)}</script>
        <script>${trusted(client)}</script>
      </body>
    </html>
    `.toString();
}

/** The report in a page; undefined where there is none. */
export function reportIn(html: string): Report | undefined {
  const json = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)?.[1];
  if (json === undefined) return undefined;
  try {
    const stored = JSON.parse(json, withNaN) as Omit<Report, "history"> & {
      history: ConstructorParameters<typeof History>[0];
    };
    return { ...stored, history: new History(stored.history) };
  } catch {
    return undefined;
  }
}

/** A report's page without the texts that it quotes, for others to see; undefined when `html` isn't a report. */
export function withoutTexts(html: string): string | undefined {
  const report = reportIn(html);
  for (const mistake of [report?.evaluation, report?.bestEvaluation].flatMap((found) => found?.mistakes ?? [])) {
    mistake.text = "";
    delete mistake.textPair;
  }
  return report && page(report);
}

/** JSON has no NaN and no infinity: a metric that is null was one of them. */
function withNaN(key: string, value: unknown): unknown {
  if (key !== "metrics" || typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, number]) => [name, number === null ? NaN : number]));
}

const STATUS = { training: "training", finished: "finished", stopped: "stopped early", failed: "failed" } as const;

function progressText({ status, step, totalSteps }: Report): string {
  if (status !== "training") return STATUS[status];
  return totalSteps > 0 ? `${Math.floor((100 * step) / totalSteps)} %` : "starting";
}

function progressBar({ status, step, totalSteps }: Report): Html | undefined {
  if (status === "finished" || totalSteps === 0) return undefined;
  return markup`<progress max="${totalSteps}" value="${step}" aria-label="updates done"></progress>`;
}

/** How far, how good, where the model is. */
function summary(report: Report): Html {
  const { status, step, totalSteps, epoch, totalEpochs, secondsLeft, history, best, evaluation } = report;
  const epochs = `${Number(epoch.toFixed(2))} of ${Number(totalEpochs.toFixed(2))} epochs`;
  const time = history.seconds > 0 ? ` in ${formatDuration(history.seconds)}` : "";
  const left = secondsLeft !== undefined && step > 0 && markup`, about ${strong(formatDuration(secondsLeft))} left`;
  const ofAll = strong(`${count(step)} of ${count(totalSteps)}`);
  const far = {
    training: markup`${ofAll} updates done${time}, ${epochs}${left}.`,
    finished: markup`${strong(count(step))} updates done${time}, ${epochs}.`,
    failed: markup`Training ended with an error after ${ofAll} updates${time}, ${epochs}.`,
    stopped: markup`Training stopped after ${ofAll} updates${time}, ${epochs}.`,
  }[status];

  const loss = history.curves.loss.points;
  const smoothed = history.curves.loss.smoothed();
  const [from, to] = [smoothed?.[0] ?? loss[0]?.mean, smoothed?.at(-1) ?? loss.at(-1)?.mean];
  const good: Html[] = [];
  if (loss.length > 1)
    good.push(
      markup`The training loss went from ${strong(digits(from!))} to ${strong(digits(to!))}${smoothed && ", smoothed"}.`,
    );
  if (best)
    good.push(
      markup`The best ${metricName(best.metric)} is ${strong(digits(best.value))}, after update ${count(best.step)}.`,
    );
  if (evaluation && evaluation.step !== best?.step)
    good.push(
      markup`The last evaluation, after update ${count(evaluation.step)}, gives ${mainMetrics(evaluation.metrics)}.`,
    );
  if (report.test) good.push(markup`The test gives ${mainMetrics(report.test.metrics)}.`);

  const folder = (name: string): Html => markup`<code>${name}</code>`;
  const where: Html[] = [];
  if (report.hasModel) where.push(markup`The model is in ${folder(report.outputDir)}.`);
  if (best?.checkpoint) where.push(markup`The best checkpoint is ${folder(best.checkpoint)}.`);
  if (report.checkpoint && report.checkpoint !== best?.checkpoint)
    where.push(markup`The newest checkpoint is ${folder(report.checkpoint)}.`);

  const { nonFinite } = history;
  const more = nonFinite.count > nonFinite.steps.length ? " …" : "";
  const wrong: Html[] = [];
  if (nonFinite.count > 0)
    wrong.push(
      markup`<span class="bad">A loss or gradient was NaN or infinite in ${updates(nonFinite.count)}:</span> ${nonFinite.steps.map(count).join(", ")}${more}.`,
    );
  if (report.skippedSteps)
    wrong.push(markup`${updates(report.skippedSteps)} ${report.skippedSteps === 1 ? "was" : "were"} left out.`);
  return lines([[far], good, where, wrong].flatMap((part) => (part.length > 0 ? [markup`<p>${lines(part)}</p>`] : [])));
}

/** The metric that people ask for first, and the loss. */
function mainMetrics(metrics: Evaluation["metrics"]): Html {
  const found = ["accuracy", "pearson", "f1", "loss"].flatMap((name) => {
    const value = metrics[`eval_${name}`] ?? metrics[`test_${name}`];
    return value === undefined ? [] : [markup`${metricName(name)} ${strong(digits(value))}`];
  });
  const [first, second] = found;
  if (!first) return markup`no metrics`;
  return second ? markup`${first} and ${second}` : first;
}

function tiles(report: Report): Html {
  const { history, tokensPerSecond, evaluation, best } = report;
  const metrics = evaluation?.metrics ?? {};
  const main = best?.metric ?? (metrics["eval_accuracy"] !== undefined ? "eval_accuracy" : "eval_pearson");
  const mainValue = best?.value ?? metrics[main];
  const deviceBytes = history.curves.deviceBytes.points.reduce((most, { max }) => Math.max(most, max), 0);
  const loss = history.curves.loss.smoothed()?.at(-1) ?? history.curves.loss.points.at(-1)?.mean;
  const shown: [string, string | undefined][] = [
    ["training loss", loss === undefined ? undefined : digits(loss)],
    ["eval loss", metrics["eval_loss"] === undefined ? undefined : digits(metrics["eval_loss"])],
    [
      `${best ? "best " : ""}${metricName(main)}`,
      main === "eval_loss" && !best ? undefined : mainValue === undefined ? undefined : digits(mainValue),
    ],
    [
      "tokens/s on average",
      tokensPerSecond === undefined ? undefined : formatRate(tokensPerSecond, "").replace(/ ?\/s$/, ""),
    ],
    ["peak device memory", deviceBytes === 0 ? undefined : formatBytes(deviceBytes)],
    ["time in training", history.seconds > 0 ? formatDuration(history.seconds) : undefined],
  ];
  return tilesOf(shown.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** `0.01`, `1000`, `1e-7`. */
const short = (value: number): string => String(Number(value.toPrecision(3)));

/** `5e-5`, which is how learning rates are written. */
const exponential = (value: number): string => (value === 0 ? "0" : Number(value.toPrecision(3)).toExponential());

function trainingCharts({ history }: Report): Html[] {
  const { loss, gradNorm, learningRate, tokensPerSecond, deviceBytes, rssBytes } = history.curves;
  const has = (curve: { points: readonly unknown[] }): boolean => curve.points.length > 0;
  const stride = Math.max(...loss.points.map((point) => point.count));
  const caption = [
    stride > 1 ? `thin: means of ${count(stride)} updates; shaded: their range` : "thin: each update",
    ...(loss.smoothed() ? ["thick: smoothed"] : []),
  ].join("; ");
  const perSecond = (value: number): string => formatRate(value, "tokens");
  const padding = 1 - history.tokens / history.paddedTokens;
  const rows = history.lengths.reduce((sum, rows) => sum + (rows ?? 0), 0);
  const figures = [
    has(loss) ? figure("Loss", caption, curveChart(loss, { label: "training loss", format: digits })) : undefined,
    has(gradNorm)
      ? figure("Gradient norm", "before clipping", curveChart(gradNorm, { label: "gradient norm", format: digits, zero: true, log: true, tickFormat: short })) // prettier-ignore
      : undefined,
    has(learningRate)
      ? figure("Learning rate", "of each update", curveChart(learningRate, { label: "learning rate", format: digits, tickFormat: exponential, zero: true, smooth: false })) // prettier-ignore
      : undefined,
    has(tokensPerSecond)
      ? figure("Tokens per second", "with padding, over the last few updates", curveChart(tokensPerSecond, { label: "tokens per second", format: perSecond, tickFormat: "~s", zero: true })) // prettier-ignore
      : undefined,
    has(deviceBytes) || has(rssBytes)
      ? figure("Memory", markup`<i class="blue"></i> on the device; <i class="orange"></i> this process`, memoryChart(deviceBytes, rssBytes, formatBytes)) // prettier-ignore
      : undefined,
    rows > 0
      ? figure("Tokens per row", `${digits(history.tokens / rows)} on average over ${count(rows)} rows; ${percent(padding)} of what was computed was padding`, lengthsChart(history.lengths)) // prettier-ignore
      : undefined,
  ];
  return figures.filter((figure) => figure !== undefined);
}

const NO_METRIC = /_(runtime|per_second|preparation_time)$|^epoch$/;

/** The metrics of an evaluation as tiles, without how long it took. */
const metricTiles = (metrics: Evaluation["metrics"]): Html =>
  tilesOf(Object.entries(metrics).flatMap(([name, value]) => (NO_METRIC.test(name) ? [] : [[metricName(name), digits(value)]]))); // prettier-ignore

const tested = ({ dataset, rows, metrics }: NonNullable<Report["test"]>): Html =>
  section("Test", markup`<p class="muted">${count(rows)} rows of ${dataset}.</p>${metricTiles(metrics)}`);

function evaluations({ history, best }: Report): Html {
  const entries = history.evaluations;
  const names = [...new Set(entries.flatMap(({ metrics }) => Object.keys(metrics)))].filter(
    (name) => !NO_METRIC.test(name),
  );
  if (names.length === 0) return lines([]);
  if (entries.length === 1) {
    const { step, metrics } = entries[0]!;
    return section("Evaluation", markup`<p class="muted">After update ${count(step)}.</p>${metricTiles(metrics)}`);
  }
  const figures = names.slice(0, 16).flatMap((name) => {
    const last = entries.findLast(({ metrics }) => Number.isFinite(metrics[name]));
    if (!last) return [];
    const training = name === "eval_loss" && history.curves.loss.points.length > 1 ? history.curves.loss : undefined;
    const legend = training && markup`; <i class="blue"></i> training`;
    const chart = metricChart(entries, name, best?.step, training);
    return [figure(metricName(name), markup`now ${strong(digits(last.metrics[name]!))}${legend}`, chart)];
  });
  const shown = spread(entries, 100);
  const rows = shown.map(({ step, metrics }) => {
    const cells = names.map((name) => (metrics[name] === undefined ? "" : digits(metrics[name])));
    const kind = step === best?.step && trusted(` class="best"`);
    return markup`<tr${kind}>${[count(step), ...cells].map((cell) => markup`<td>${cell}</td>`)}</tr>`;
  });
  const heads = ["update", ...names.map(metricName)].map((name) => markup`<th>${name}</th>`);
  const many =
    shown.length < entries.length ? `${shown.length} of the evaluations` : `All ${entries.length} evaluations`;
  return section(
    "Evaluation",
    markup`${grid(figures, "small")}
<details id="evaluations"><summary>${many} as a table</summary><div class="wide"><table><thead><tr>${heads}</tr></thead><tbody>
${lines(rows)}
</tbody></table></div></details>`,
  );
}

function settings({ changed, defaults, model, modelConfig, environment }: Facts): Html {
  const row = ([name, value, byDefault]: Fact): Html => {
    const note = byDefault !== undefined && markup` <span class="muted">(default ${byDefault})</span>`;
    return markup`<tr><th>${name}</th><td>${value}${note}</td></tr>`;
  };
  const table = (facts: readonly Fact[]): Html =>
    markup`<table class="texts"><tbody>${lines(facts.map(row))}</tbody></table>`;
  const configuration = markup`${table(changed)}
<details id="defaults"><summary>${count(defaults.length)} arguments at their defaults</summary>${table(defaults)}</details>
<details id="model"><summary>${model}</summary>${table(modelConfig)}</details>`;
  return markup`<div class="beside">${section("Configuration", configuration)}
${section("Environment", table(environment))}</div>`;
}
