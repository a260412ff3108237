import { createHash } from "node:crypto";
import { formatBytes, formatDuration, formatRate } from "../format.ts";
import {
  confusionChart,
  curveChart,
  errorsChart,
  lengthsChart,
  memoryChart,
  metricChart,
  pairsChart,
  reliabilityChart,
  rocChart,
} from "./charts.ts";
import { MOST_CLASSES, spread, type Evaluation, type Mistake } from "./evaluation.ts";
import type { Fact, Facts } from "./facts.ts";
import { History } from "./history.ts";

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
  history: History;
  /** When the page was written, as an ISO date. */
  writtenAt: string;
}

/** A report as one page that needs nothing else. */
export function page(report: Report): string {
  const { runName, status, evaluation } = report;
  return `<!doctype html>
<html lang="en" data-status="${status}" data-written="${Date.parse(report.writtenAt)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${SCRIPT_HASH}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(runName)}: ${progressText(report)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="status ${status}" id="status">${STATUS[status]}</p>
<h1>${escaped(runName)}</h1>
${progressBar(report)}
<p id="stale" hidden></p>
<div class="summary">${summary(report)
    .map((text) => `<p>${text}</p>`)
    .join("\n")}</div>
</header>
${tiles(report)}
${section("Training", grid(trainingCharts(report)))}
${evaluations(report)}
${evaluation ? verdict(evaluation) : ""}
${evaluation ? mistakes(evaluation) : ""}
${report.facts ? settings(report.facts) : ""}
<footer>Written ${report.writtenAt.slice(0, 16).replace("T", " ")} UTC by gpugrad.</footer>
<div id="tip" role="status" hidden></div>
<script type="application/json" id="report">${JSON.stringify(report).replaceAll("<", "\\u003c")}</script>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

/** The report in a page; undefined where there is none. */
export function reportIn(html: string): Report | undefined {
  const json = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)?.[1];
  if (json === undefined) return undefined;
  try {
    const stored = JSON.parse(json) as Omit<Report, "history"> & { history: ConstructorParameters<typeof History>[0] };
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

const STATUS = { training: "training", finished: "finished", stopped: "stopped early", failed: "failed" } as const;

const count = (value: number): string => value.toLocaleString("en");
const updates = (many: number): string => `${count(many)} ${many === 1 ? "update" : "updates"}`;
/** Four digits: `0.3124`, `5.000e-5`. */
const digits = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
const strong = (text: string): string => `<b>${text}</b>`;
/** `eval_roc_auc` as people say it. */
const metricName = (name: string): string =>
  name
    .replace(/^eval_/, "")
    .replaceAll("_", " ")
    .replace(/\b(f1|mcc|mse|mae|roc|auc)\b/g, (short) => short.toUpperCase())
    .replace(/^(pearson|spearman)/, (name) => name[0]!.toUpperCase() + name.slice(1));

const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const section = (title: string, content: string): string =>
  content && `<section><h2>${title}</h2>\n${content}\n</section>`;
const grid = (figures: readonly string[], kind = ""): string =>
  figures.length > 0 ? `<div class="grid ${kind}">${figures.join("\n")}</div>` : "";
const figure = (title: string, caption: string, chart: string): string =>
  `<figure><h3>${escaped(title)}</h3><figcaption>${caption}</figcaption>${chart}</figure>`;

function progressText({ status, step, totalSteps }: Report): string {
  if (status !== "training") return STATUS[status];
  return totalSteps > 0 ? `${Math.floor((100 * step) / totalSteps)} %` : "starting";
}

function progressBar({ status, step, totalSteps }: Report): string {
  if (status === "finished" || totalSteps === 0) return "";
  return `<progress max="${totalSteps}" value="${step}" aria-label="updates done"></progress>`;
}

/** How far, how good, where the model is. */
function summary(report: Report): string[] {
  const { status, step, totalSteps, epoch, totalEpochs, secondsLeft, history, best, evaluation } = report;
  const epochs = `${Number(epoch.toFixed(2))} of ${Number(totalEpochs.toFixed(2))} epochs`;
  const time = history.seconds > 0 ? ` in ${formatDuration(history.seconds)}` : "";
  const left = secondsLeft !== undefined && step > 0 ? `, about ${strong(formatDuration(secondsLeft))} left` : "";
  const far = {
    training: `${strong(`${count(step)} of ${count(totalSteps)}`)} updates done${time}, ${epochs}${left}.`,
    finished: `${strong(count(step))} updates done${time}, ${epochs}.`,
    failed: `Training ended with an error after ${strong(`${count(step)} of ${count(totalSteps)}`)} updates${time}, ${epochs}.`,
    stopped: `Training stopped after ${strong(`${count(step)} of ${count(totalSteps)}`)} updates${time}, ${epochs}.`,
  }[status];

  const loss = history.curves.loss.points;
  const smoothed = history.curves.loss.smoothed();
  const [from, to] = [smoothed?.[0] ?? loss[0]?.mean, smoothed?.at(-1) ?? loss.at(-1)?.mean];
  const good = [
    ...(loss.length > 1
      ? [
          `The training loss went from ${strong(digits(from!))} to ${strong(digits(to!))}${smoothed ? ", smoothed" : ""}.`,
        ]
      : []),
    ...(best
      ? [
          `The best ${escaped(metricName(best.metric))} is ${strong(digits(best.value))}, after update ${count(best.step)}.`,
        ]
      : []),
    ...(evaluation && evaluation.step !== best?.step
      ? [`The last evaluation, after update ${count(evaluation.step)}, gives ${lastMetrics(evaluation)}.`]
      : []),
  ];

  const folder = (name: string): string => `<code>${escaped(name)}</code>`;
  const where = [
    ...(report.hasModel ? [`The model is in ${folder(report.outputDir)}.`] : []),
    ...(best?.checkpoint ? [`The best checkpoint is ${folder(best.checkpoint)}.`] : []),
    ...(report.checkpoint && report.checkpoint !== best?.checkpoint
      ? [`The newest checkpoint is ${folder(report.checkpoint)}.`]
      : []),
  ];
  const { nonFinite } = history;
  const more = nonFinite.count > nonFinite.steps.length ? " …" : "";
  const wrong = [
    ...(nonFinite.count > 0
      ? [
          `<span class="bad">A loss or gradient was NaN or infinite in ${updates(nonFinite.count)}:</span> ${nonFinite.steps.map(count).join(", ")}${more}.`,
        ]
      : []),
    ...(report.skippedSteps
      ? [`${updates(report.skippedSteps)} ${report.skippedSteps === 1 ? "was" : "were"} left out.`]
      : []),
  ];
  return [far, good.join(" "), where.join(" "), wrong.join(" ")].filter(Boolean);
}

/** The metric that people ask for first, and the loss. */
const lastMetrics = ({ metrics }: Evaluation): string =>
  ["eval_accuracy", "eval_pearson", "eval_f1", "eval_loss"]
    .flatMap((name) => (metrics[name] === undefined ? [] : [`${metricName(name)} ${strong(digits(metrics[name]))}`]))
    .slice(0, 2)
    .join(" and ") || "no metrics";

function tiles(report: Report): string {
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

const tilesOf = (values: readonly [string, string][]): string =>
  values.length > 0
    ? `<dl class="tiles">${values.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${value}</dd></div>`).join("")}</dl>`
    : "";

/** `0.01`, `1000`, `1e-7`. */
const short = (value: number): string => String(Number(value.toPrecision(3)));

/** `5e-5`, which is how learning rates are said. */
const exponential = (value: number): string => (value === 0 ? "0" : Number(value.toPrecision(3)).toExponential());

function trainingCharts({ history }: Report): string[] {
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
  return [
    has(loss) ? figure("Loss", caption, curveChart(loss, { label: "training loss", format: digits })) : "",
    has(gradNorm)
      ? figure("Gradient norm", "before clipping", curveChart(gradNorm, { label: "gradient norm", format: digits, zero: true, log: true, tickFormat: short })) // prettier-ignore
      : "",
    has(learningRate)
      ? figure("Learning rate", "of each update", curveChart(learningRate, { label: "learning rate", format: digits, tickFormat: exponential, zero: true, smooth: false })) // prettier-ignore
      : "",
    has(tokensPerSecond)
      ? figure("Tokens per second", "with padding, over the last few updates", curveChart(tokensPerSecond, { label: "tokens per second", format: perSecond, tickFormat: "~s", zero: true })) // prettier-ignore
      : "",
    has(deviceBytes) || has(rssBytes)
      ? figure("Memory", '<i class="blue"></i> on the device; <i class="orange"></i> this process', memoryChart(deviceBytes, rssBytes, formatBytes)) // prettier-ignore
      : "",
    rows > 0
      ? figure("Tokens per row", `${digits(history.tokens / rows)} on average over ${count(rows)} rows; ${percent(padding)} of what was computed was padding`, lengthsChart(history.lengths)) // prettier-ignore
      : "",
  ].filter(Boolean);
}

const NO_METRIC = /_(runtime|per_second|preparation_time)$|^epoch$/;

function evaluations({ history, best }: Report): string {
  const entries = history.evaluations;
  const names = [...new Set(entries.flatMap(({ metrics }) => Object.keys(metrics)))].filter(
    (name) => !NO_METRIC.test(name),
  );
  if (names.length === 0) return "";
  if (entries.length === 1) {
    const { step, metrics } = entries[0]!;
    const values = names.map((name): [string, string] => [metricName(name), digits(metrics[name]!)]);
    return section("Evaluation", `<p class="muted">After update ${count(step)}.</p>${tilesOf(values)}`);
  }
  const isBest = (step: number): boolean => step === best?.step;
  const figures = names.slice(0, 16).map((name) => {
    const values = entries.flatMap(({ metrics }) => (Number.isFinite(metrics[name]) ? [metrics[name]!] : []));
    if (values.length === 0) return "";
    const training = name === "eval_loss" && history.curves.loss.points.length > 1 ? history.curves.loss : undefined;
    const legend = training ? '; <i class="blue"></i> training' : "";
    const chart = metricChart(entries, name, best?.step, training);
    return figure(metricName(name), `now ${strong(digits(values.at(-1)!))}${legend}`, chart);
  });
  const shown = spread(entries, 100);
  const line = (cells: readonly string[], tag: "td" | "th", kind = ""): string =>
    `<tr${kind}>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
  const table = `<div class="wide"><table><thead>${line(["update", ...names.map((name) => escaped(metricName(name)))], "th")}</thead><tbody>
${shown.map(({ step, metrics }) => line([count(step), ...names.map((name) => (metrics[name] === undefined ? "" : digits(metrics[name])))], "td", isBest(step) ? ' class="best"' : "")).join("\n")}
</tbody></table></div>`;
  const many =
    shown.length < entries.length ? `${shown.length} of the evaluations` : `All ${entries.length} evaluations`;
  return section(
    "Evaluation",
    `${grid(figures.filter(Boolean), "small")}
<details id="evaluations"><summary>${many} as a table</summary>${table}</details>`,
  );
}

/** What the model gets right and what wrong. */
function verdict({ step, dataset, rows, nonFinite, wrong, classes, pairs }: Evaluation): string {
  const told = `<p class="muted">${count(rows)} rows of ${escaped(dataset)}, after update ${count(step)}${classes ? `: ${count(rows - nonFinite - wrong)} right, ${count(wrong)} wrong` : ""}.${
    nonFinite > 0 ? ` <span class="bad">${count(nonFinite)} with logits that aren't finite are left out.</span>` : ""
  }</p>`;
  if (pairs && pairs.length > 0)
    return section(
      "Predictions",
      told +
        grid([
          figure("Predicted against true", "dashed: where both are equal", pairsChart(pairs)),
          figure(
            "Errors",
            pairs.length < rows ? `of ${count(pairs.length)} rows, evenly chosen` : "of all rows",
            errorsChart(pairs),
          ),
        ]),
    );
  if (!classes) return "";
  const { names, confusions, calibration, roc, scores } = classes;
  const readable = names.length <= MOST_CLASSES;
  const figures = [
    readable ? figure("Confusion matrix", "the darker, the more of the label's rows", confusionChart(classes)) : "",
    roc
      ? figure("ROC", `area under the curve ${strong(digits(roc.area))}, for ${escaped(names[1]!)}`, rocChart(roc))
      : "",
    figure(
      "Calibration",
      `expected calibration error ${strong(digits(calibration.error))}; dashed: right as often as it is sure`,
      reliabilityChart(classes),
    ),
  ];
  const perClass = `<div class="wide"><table><thead><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>rows</th></tr></thead><tbody>
${scores.map(({ label, precision, recall, f1, support }) => `<tr><td>${escaped(names[label]!)}</td>${[precision, recall, f1].map((score) => `<td>${score.toFixed(3)}</td>`).join("")}<td>${count(support)}</td></tr>`).join("\n")}
</tbody></table></div>`;
  const worst = confusions
    .filter(([label, predicted]) => label !== predicted)
    .sort((a, b) => b[2] - a[2])
    .slice(0, 15);
  const worstTable = `<h3>Confused most often</h3><div class="wide"><table class="texts"><thead><tr><th>label</th><th>predicted</th><th>rows</th></tr></thead><tbody>
${worst.map(([label, predicted, n]) => `<tr><td>${escaped(names[label] ?? String(label))}</td><td>${escaped(names[predicted]!)}</td><td>${count(n)}</td></tr>`).join("\n")}
</tbody></table></div>`;
  return section(
    "Right and wrong",
    `${told}${grid(figures.filter(Boolean))}
${names.length > 2 && worst.length > 0 ? worstTable : ""}
${names.length <= 10 ? `<h3>By class</h3>${perClass}` : `<details id="classes"><summary>All ${count(names.length)} classes as a table</summary>${perClass}</details>`}`,
  );
}

function mistakes({ mistakes: shown, wrong, rows, pairs }: Evaluation): string {
  if (shown.length === 0) return "";
  const title = pairs ? "Largest errors" : "Most confident mistakes";
  const told = pairs
    ? `The ${count(shown.length)} of ${count(rows)} rows with the largest errors.`
    : `${shown.length < wrong ? `The ${shown.length} of ${count(wrong)} that the model was surest of.` : "The model was surest of the first."}`;
  const items = shown.map((mistake) => {
    const { row, text, textPair, label, predicted, score } = mistake;
    const said = pairs
      ? `${escaped(predicted)} instead of ${escaped(label)}: ${score > 0 ? "+" : "−"}${digits(Math.abs(score))}`
      : `<b>${escaped(predicted)}</b> <span class="muted">at ${percent(score)}, but it is</span> <b>${escaped(label)}</b>`;
    return `<li><p class="said">${said} <span class="muted row">row ${count(row)}</span></p>${[text, textPair].map(cutText).join("")}</li>`;
  });
  return section(title, `<p class="muted">${told}</p><ol class="mistakes">${items.join("\n")}</ol>`);
}

/** Characters of a text that are shown until it is opened. */
const SHOWN = 320;

function cutText(text: Mistake["textPair"]): string {
  if (!text) return "";
  if (text.length <= SHOWN + 80) return `<p class="text" dir="auto">${escaped(text)}</p>`;
  const start = text.slice(0, SHOWN).replace(/\s+\S*$/, "");
  return `<details class="text"><summary><span class="start" dir="auto">${escaped(start)} …</span> <span class="more">all ${count(text.length)} characters</span></summary><p dir="auto">${escaped(text)}</p></details>`;
}

function settings({ changed, defaults, model, modelConfig, environment }: Facts): string {
  const table = (facts: readonly Fact[]): string =>
    `<table class="texts"><tbody>${facts
      .map(
        ([name, value, byDefault]) =>
          `<tr><th>${escaped(name)}</th><td>${escaped(value)}${byDefault === undefined ? "" : ` <span class="muted">(default ${escaped(byDefault)})</span>`}</td></tr>`,
      )
      .join("\n")}</tbody></table>`;
  return `<div class="beside">${section(
    "Configuration",
    `${table(changed)}
<details id="defaults"><summary>${count(defaults.length)} arguments at their defaults</summary>${table(defaults)}</details>
<details id="model"><summary>${escaped(model)}</summary>${table(modelConfig)}</details>`,
  )}
${section("Environment", table(environment))}</div>`;
}

const LIGHT = `--blue: #2f6fb7; --orange: #d9731a; --green: #2e8b57; --red: #c4392f; --faint: #9a9a96; --back: #fafaf8; --card: #fff; --text: #23231f; --muted: #6a6a64; --line: #e4e4df;`;
const DARK = `--blue: #6aa9ea; --orange: #f0a050; --green: #5cc08a; --red: #f0776c; --faint: #77777c; --back: #131315; --card: #1b1b1e; --text: #e8e8e6; --muted: #a0a09c; --line: #323236;`;

const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; max-width: 1240px; margin: 0 auto; padding: 28px 20px 40px; background: var(--back); color: var(--text); }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 12px; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 40px 0 12px; } h3 { font-size: 0.95rem; margin: 0; text-wrap: balance; }
section > h3 { margin: 24px 0 6px; }
code { font: 0.92em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.muted, figcaption, footer { color: var(--muted); } .bad { color: var(--red); }
.status { display: inline-block; margin: 0 0 8px; padding: 1px 10px; border-radius: 99px; font-size: 0.8rem; font-weight: 600; border: 1px solid currentColor; }
.training { color: var(--blue); } .finished { color: var(--green); } .stopped, .failed { color: var(--orange); }
progress { appearance: none; display: block; width: 100%; height: 6px; margin: 0 0 14px; border: 0; border-radius: 3px; overflow: hidden; background: var(--line); }
progress::-webkit-progress-bar { background: var(--line); } progress::-webkit-progress-value { background: var(--blue); } progress::-moz-progress-bar { background: var(--blue); }
.summary { max-width: 46rem; font-size: 1.05rem; } .summary p { margin: 0 0 6px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 0; } header + .tiles { margin-top: 22px; }
.tiles div, figure, .mistakes li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tiles div { padding: 10px 14px; } dt { color: var(--muted); font-size: 0.8rem; } dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 350px), 1fr)); gap: 14px; }
.grid.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); }
figure { margin: 0; padding: 12px 14px 8px; min-width: 0; break-inside: avoid; } figcaption { font-size: 0.82rem; min-height: 1.6em; }
.small h3::first-letter, .tiles dt::first-letter { text-transform: uppercase; }
figcaption i { display: inline-block; width: 14px; height: 3px; vertical-align: middle; border-radius: 2px; } i.blue { background: var(--blue); } i.orange { background: var(--orange); }
svg { display: block; width: 100%; height: auto; overflow: visible; background: none !important; }
.bands rect:hover { fill: currentColor; fill-opacity: 0.1; } .bands, .points { outline: none; }
#tip { position: fixed; z-index: 1; pointer-events: none; white-space: pre-line; padding: 5px 9px; border-radius: 7px; font-size: 0.8rem; line-height: 1.4; max-width: 260px; background: var(--text); color: var(--back); }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); column-gap: 40px; } .beside table { width: 100%; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.87rem; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; white-space: nowrap; }
th { font-weight: 500; color: var(--muted); } th:first-child, td:first-child, .texts td, .texts th { text-align: left; } tr.best td { font-weight: 700; }
tbody th { width: 1%; } .texts td { white-space: normal; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: 6px 0; color: var(--muted); } summary:hover { color: var(--text); } details > .wide, details > table { margin: 4px 0 12px; }
.mistakes { list-style: none; padding: 0; margin: 0; columns: 2 420px; column-gap: 14px; } .mistakes li { padding: 10px 14px; margin: 0 0 14px; break-inside: avoid; }
.said { margin: 0 0 4px; } .row { float: right; font-size: 0.8rem; } .text { margin: 0; overflow-wrap: anywhere; white-space: pre-line; font-size: 0.92rem; } .text + .text { margin-top: 8px; border-top: 1px solid var(--line); padding-top: 8px; }
.text summary { padding: 0; color: inherit; list-style: none; } .text summary::-webkit-details-marker { display: none; } .more { color: var(--blue); white-space: nowrap; } .text p { margin: 4px 0 0; } .text[open] .start { display: none; }
footer { margin-top: 40px; font-size: 0.82rem; } #stale { color: var(--orange); margin: 0 0 8px; }
@media (max-width: 480px) { body { padding: 18px 14px 30px; } .tiles { grid-template-columns: 1fr 1fr; } th, td { padding-right: 8px; } .texts th { white-space: normal; overflow-wrap: anywhere; width: 42%; } figure { padding: 10px 10px 6px; } .row { float: none; } }
@media print { body { background: none; padding: 0; font-size: 12px; } .grid { grid-template-columns: repeat(2, 1fr); } .grid.small { grid-template-columns: repeat(3, 1fr); } .tiles { grid-template-columns: repeat(6, 1fr); } h2, h3 { break-after: avoid; } #tip { display: none; } }
`;

/**
 * Shows what the pointer is at, and loads the page again while training is under way: where it was, with what was open. A run that was
 * killed can't say so: after ten minutes without a new page it isn't called training any more, after an hour nothing is loaded again.
 */
const SCRIPT = `
(() => {
  const tip = document.getElementById("tip");
  const show = (event) => {
    const at = event.target.closest?.("svg *");
    const title = at?.querySelector(":scope > title");
    if (title) { at.dataset.tip = title.textContent; title.remove(); }
    const text = at?.dataset.tip;
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4)) + "px";
    tip.style.top = (event.clientY - height - 12 < 4 ? event.clientY + 18 : event.clientY - height - 12) + "px";
  };
  addEventListener("pointermove", show);
  addEventListener("pointerdown", show);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const { status, written } = document.documentElement.dataset;
  const key = "gpugrad " + location.pathname;
  const opened = () => [...document.querySelectorAll("details[id]")].filter((one) => one.open).map((one) => one.id);
  let before = null;
  try { before = JSON.parse(sessionStorage.getItem(key)); sessionStorage.removeItem(key); } catch {}
  if (before) {
    history.scrollRestoration = "manual";
    for (const id of before.opened) { const one = document.getElementById(id); if (one) one.open = true; }
    scrollTo({ left: before.x, top: before.y, behavior: "instant" });
  }
  if (status !== "training") return;
  const loaded = Date.now();
  const pill = document.getElementById("status");
  const note = document.getElementById("stale");
  const look = () => {
    const minutes = Math.floor((Date.now() - written) / 60e3);
    const [silent, over] = [minutes >= 10, minutes >= 60];
    if (silent) {
      const time = minutes < 120 ? minutes + " minutes" : minutes < 2880 ? Math.floor(minutes / 60) + " hours" : Math.floor(minutes / 1440) + " days";
      pill.textContent = "no news for " + time;
      pill.className = "status stopped";
      note.hidden = false;
      note.textContent = "The run wrote nothing for " + time + ": it was ended, or its machine sleeps." + (over ? " This page no longer loads itself again." : "");
    }
    const busy = document.hidden || !tip.hidden || String(getSelection()) || document.querySelector("details.text[open]");
    if (over || busy || Date.now() - loaded < (silent ? 60e3 : 5e3)) return;
    try { sessionStorage.setItem(key, JSON.stringify({ x: scrollX, y: scrollY, opened: opened() })); } catch {}
    location.reload();
  };
  look();
  setInterval(look, 500);
})();
`;

const SCRIPT_HASH = createHash("sha256").update(SCRIPT).digest("base64");
