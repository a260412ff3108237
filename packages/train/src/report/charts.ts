import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { MOST_CLASSES, spread, type Evaluation } from "./findings.ts";
import type { Curve, EvaluationMetrics } from "./history.ts";
import { trusted, type Html } from "./html.ts";

/** Plot makes its elements, and escapes what is in them, by a document of its own: made for the first chart, not by an import. */
let ownDocument: Document | undefined;
const documentOf = (): Document => (ownDocument ??= parseHTML("<!doctype html><html><body></body></html>").document);

// CSS variables of the page: one drawing suits light and dark.
export const BLUE = "var(--blue)";
export const ORANGE = "var(--orange)";
export const FAINT = "var(--faint)";

/** Units of the drawings: as many CSS pixels in a column of the page. */
const WIDTH = 380;
const HEIGHT = 220;

/** A drawing as SVG, with this label for those who can't see it. */
export const plot = (label: string, options: Plot.PlotOptions): Html => {
  const drawing = Plot.plot({
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 46,
    marginBottom: 34,
    marginTop: 12,
    marginRight: 14,
    style: { fontSize: "11.5px", background: "none" },
    document: documentOf(),
    ariaLabel: label,
    ...options,
  });
  return trusted(drawing.outerHTML);
};

const stepAxis = (first: number, last: number): Plot.ScaleOptions => ({
  label: "update",
  labelArrow: "none",
  ticks: Math.max(1, Math.min(5, last - first)),
  tickFormat: "~s",
  inset: 4,
});

export interface CurveOptions {
  label: string;
  /** How a value reads. */
  format: (value: number) => string;
  /** How a tick of the axis reads. */
  tickFormat?: string | ((value: number) => string);
  /** Where the axis starts, unless values are lower. */
  zero?: boolean;
  /** A logarithmic axis, where values lie far apart. */
  log?: boolean;
  /** Values are divided by it, for the axis. */
  unit?: number;
  /** Draw a smoothed line. */
  smooth?: boolean;
}

/** A value over updates: as it is, thin, within its range where a point covers several; smoothed, thick. */
export function curveChart(curve: Curve, options: CurveOptions): Html {
  const { label, format, tickFormat, zero = false, log = false, unit = 1, smooth = true } = options;
  const smoothed = smooth ? curve.smoothed() : undefined;
  const data = curve.points.map(({ step, count, mean, min, max }, i) => ({
    ...{ step, count, mean: mean / unit, min: min / unit, max: max / unit },
    smoothed: (smoothed?.[i] ?? mean) / unit,
  }));
  const powers = log ? powersOfTen(data.map(({ mean }) => mean)) : undefined;
  return plot(label, {
    x: stepAxis(data[0]!.step, data.at(-1)!.step),
    y: {
      ...{ label: null, grid: true, nice: true },
      ...(powers ? { type: "log", ticks: powers } : { ticks: 5, zero }),
      ...(tickFormat && { tickFormat }),
    },
    marks: [
      ...(data.some(({ count }) => count > 1)
        ? [Plot.areaY(data, { x: "step", y1: "min", y2: "max", fill: BLUE, fillOpacity: 0.15 })]
        : []),
      Plot.lineY(data, { x: "step", y: "mean", stroke: BLUE, strokeWidth: smoothed ? 1 : 1.75, strokeOpacity: smoothed ? 0.4 : 1 }), // prettier-ignore
      ...(smoothed ? [Plot.lineY(data, { x: "step", y: "smoothed", stroke: BLUE, strokeWidth: 2 })] : []),
      ...(data.length < 12 ? [Plot.dot(data, { x: "step", y: "mean", fill: BLUE, r: 2.5 })] : []),
      bands(data, ({ step, mean, smoothed: even }) =>
        [`update ${step.toLocaleString("en")}`, format(mean * unit), smoothed ? `smoothed ${format(even * unit)}` : ""]
          .filter(Boolean)
          .join("\n"),
      ),
    ],
  });
}

/** The ticks of a logarithmic axis; undefined where a linear one shows the values as well. */
function powersOfTen(values: readonly number[]): number[] | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, middle, most] = [sorted[0]!, sorted[sorted.length >> 1]!, sorted.at(-1)!];
  if (least <= 0 || most < 20 * middle) return undefined;
  const [from, to] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
}

/** Stripes to point at, each with what is there: about one for every three pixels. */
function bands<T extends { step: number }>(data: readonly T[], title: (at: T) => string): Plot.Markish {
  const shown = spread(data, 120);
  const stripes = shown.map((at, i) => ({
    left: i === 0 ? at.step : (shown[i - 1]!.step + at.step) / 2,
    right: i === shown.length - 1 ? at.step : (at.step + shown[i + 1]!.step) / 2,
    title: title(at),
  }));
  return Plot.rect(stripes, { x1: "left", x2: "right", title: "title", fill: "transparent", className: "bands" });
}

/** A metric of the evaluations; the best of them has a ring. */
export function metricChart(
  evaluations: readonly EvaluationMetrics[],
  name: string,
  best: number | undefined,
  training?: Curve,
): Html {
  const data = spread(
    evaluations.flatMap(({ step, metrics }) => (Number.isFinite(metrics[name]) ? [{ step, value: metrics[name]! }] : [])),
    300,
  ); // prettier-ignore
  const smoothed = training?.smoothed() ?? training?.points.map(({ mean }) => mean);
  const line = training?.points.map(({ step }, i) => ({ step, value: smoothed![i]! })) ?? [];
  const steps = [...data, ...line].map(({ step }) => step);
  return plot(name, {
    ...{ width: 280, height: 140 },
    x: stepAxis(Math.min(...steps), Math.max(...steps)),
    y: { label: null, grid: true, ticks: 4, nice: true },
    marks: [
      Plot.lineY(line, { x: "step", y: "value", stroke: BLUE, strokeOpacity: 0.6 }),
      Plot.lineY(data, { x: "step", y: "value", stroke: ORANGE, strokeWidth: 2 }),
      Plot.dot(data, {
        ...{ x: "step", y: "value", fill: ORANGE, r: data.length > 60 ? 1.5 : 3 },
        title: ({ step, value }: (typeof data)[number]) => `update ${step.toLocaleString("en")}\n${name} ${value.toPrecision(4)}`, // prettier-ignore
      }),
      Plot.dot(data.filter(({ step }) => step === best), { x: "step", y: "value", stroke: ORANGE, r: 7, strokeWidth: 1.5 }), // prettier-ignore
    ],
  });
}

type Classes = NonNullable<Evaluation["classes"]>;

/** Rows are labels, columns predictions; the darker, the more of the label's rows. */
export function confusionChart({ names, confusions, scores }: Classes): Html {
  const n = Math.min(names.length, MOST_CLASSES);
  const short = distinct(names.slice(0, n), n > 10 ? 12 : 15);
  const data = confusions
    .filter(([label, predicted]) => label < n && predicted < n)
    .map(([label, predicted, rows]) => ({
      ...{ label: short[label], predicted: short[predicted], rows },
      opacity: 0.08 + (0.67 * rows) / scores[label]!.support,
      title: `${names[label]} predicted as ${names[predicted]}\n${rows.toLocaleString("en")} of ${scores[label]!.support.toLocaleString("en")} rows`,
    }));
  const longest = Math.max(...short.map((name) => name.length));
  const left = 30 + longest * (n > 10 ? 5 : 6.5);
  const rotated = longest * 7 > (WIDTH - left) / n;
  const bottom = rotated ? 28 + longest * (n > 10 ? 5 : 6) : 40;
  const height = Math.min(330, WIDTH - left) + bottom;
  return plot("confusion matrix", {
    ...{ width: WIDTH, height, marginLeft: left, marginBottom: bottom, marginRight: 6, padding: n > 10 ? 0.02 : 0.04 },
    x: { label: "predicted", labelArrow: "none", domain: short, tickSize: 0, ...(rotated && { tickRotate: -90 }) },
    y: { label: "label", labelArrow: "none", labelAnchor: "top", domain: short, tickSize: 0 },
    opacity: { type: "identity" },
    style: { fontSize: n > 16 ? "8px" : n > 10 ? "9px" : "11.5px", background: "none" },
    marks: [
      Plot.cell(
        short.flatMap((label) => short.map((predicted) => ({ label, predicted }))),
        {
          ...{ x: "predicted", y: "label", fill: BLUE, fillOpacity: 0.05 },
        },
      ),
      Plot.cell(data, { x: "predicted", y: "label", fill: BLUE, fillOpacity: "opacity", title: "title" }),
      ...(n <= 16
        ? [
            Plot.text(data, {
              ...{ x: "predicted", y: "label", text: ({ rows }: (typeof data)[number]) => rows.toLocaleString("en") },
              ...{ fontSize: n > 8 ? 9 : n > 4 ? 12 : 16, fontWeight: 500, pointerEvents: "none" },
            }),
          ]
        : []),
    ],
  });
}

/** Names cut to a length, each still another. */
function distinct(names: readonly string[], length: number): string[] {
  const cut = names.map((name) => (name.length <= length ? name : `${name.slice(0, length - 1)}…`));
  return cut.map((name, i) => (cut.indexOf(name) === i ? name : `${name} ${i}`));
}

const percent = (value: number): string => `${Math.round(100 * value)} %`;
const diagonal = (from: number, to: number): Plot.Markish =>
  Plot.line([from, to].map((at) => [at, at]), { stroke: FAINT, strokeDasharray: "4 4" }); // prettier-ignore

/** True positives over false positives, over all thresholds. */
export function rocChart({ points }: NonNullable<Classes["roc"]>): Html {
  return plot("ROC curve", {
    height: 330,
    x: { label: "false positive rate", labelArrow: "none", domain: [0, 1], ticks: 5, grid: true },
    y: { label: "true positive rate", labelArrow: "none", domain: [0, 1], ticks: 5, grid: true },
    marginTop: 24,
    marks: [
      Plot.areaY(points, { x: "0", y1: 0, y2: "1", fill: BLUE, fillOpacity: 0.1 }),
      diagonal(0, 1),
      Plot.line(points, { x: "0", y: "1", stroke: BLUE, strokeWidth: 2 }),
      Plot.dot(spread(points, 80), {
        ...{ x: "0", y: "1", r: 5, fill: "transparent", className: "points" },
        title: ([fpr, tpr]: [number, number]) => `${percent(tpr)} of the positives\n${percent(fpr)} of the negatives`,
      }),
    ],
  });
}

/** How often predictions of like confidence are right; on the diagonal, they are as sure as they should be. */
export function reliabilityChart({ calibration: { bins }, names }: Classes): Html {
  const lowest = Math.floor(10 / names.length) / 10;
  const data = bins.filter(({ count }) => count > 0);
  return plot("reliability diagram", {
    height: 330,
    x: { label: "confidence", labelArrow: "none", domain: [lowest, 1], ticks: 5, tickFormat: "%" },
    y: { label: "share that is right", labelArrow: "none", domain: [0, 1], ticks: 5, tickFormat: "%", grid: true },
    marginTop: 24,
    marks: [
      Plot.rect(data, {
        ...{ x1: "from", x2: "to", y1: 0, y2: "accuracy", fill: BLUE, fillOpacity: 0.35, insetLeft: 1, insetRight: 1 },
        title: ({ count, confidence, accuracy }: (typeof data)[number]) =>
          `${count.toLocaleString("en")} rows\nconfidence ${percent(confidence)}\n${percent(accuracy)} of them right`,
      }),
      diagonal(lowest, 1),
      Plot.dot(data, { x: "confidence", y: "accuracy", fill: ORANGE, r: 4, pointerEvents: "none" }),
    ],
  });
}

/** Predictions over labels of a regression. */
export function pairsChart(pairs: readonly [number, number][]): Html {
  const all = pairs.flat();
  const domain = [Math.min(...all), Math.max(...all)];
  return plot("predicted against true", {
    height: 330,
    x: { label: "label", labelArrow: "none", domain, ticks: 6, grid: true, nice: true },
    y: { label: "prediction", labelArrow: "none", domain, ticks: 6, grid: true, nice: true },
    marginTop: 24,
    marks: [
      diagonal(domain[0]!, domain[1]!),
      Plot.dot(pairs, {
        ...{ x: "0", y: "1", fill: BLUE, fillOpacity: 0.5, r: 3 },
        title: ([label, prediction]: [number, number]) => `label ${label}\nprediction ${prediction.toPrecision(4)}`,
      }),
    ],
  });
}

/** How often predictions of a regression are off by how much. */
export function errorsChart(pairs: readonly [number, number][]): Html {
  const errors = pairs.map(([label, prediction]) => prediction - label);
  return plot("errors", {
    height: 330,
    x: { label: "prediction − label", labelArrow: "none", ticks: 6 },
    y: { label: null, grid: true, ticks: 5 },
    marks: [
      Plot.rectY(errors, {
        ...Plot.binX(
          { y: "count", title: (rows: number[]) => `${rows.length} rows` },
          { x: Plot.identity, thresholds: 30 },
        ),
        ...{ fill: BLUE, fillOpacity: 0.7 },
      }),
      Plot.ruleX([0], { stroke: FAINT, strokeDasharray: "4 4" }),
    ],
  });
}

/** How many rows have how many tokens. */
export function lengthsChart(lengths: readonly number[]): Html {
  const first = lengths.findIndex((count) => count > 0);
  const width = Math.max(1, Math.ceil((lengths.length - first) / 40));
  const bins = Array.from({ length: Math.ceil((lengths.length - first) / width) }, (_, i) => {
    const from = first + i * width;
    const rows = lengths.slice(from, from + width).reduce((sum, count) => sum + (count ?? 0), 0);
    return { from, to: from + width, rows };
  });
  return plot("tokens per row", {
    x: { label: "tokens per row", labelArrow: "none", ticks: 6 },
    y: { label: null, grid: true, ticks: 4, tickFormat: "~s" },
    marks: [
      Plot.rectY(bins, {
        ...{ x1: "from", x2: "to", y: "rows", fill: BLUE, fillOpacity: 0.7, insetLeft: 0.5, insetRight: 0.5 },
        title: ({ from, to, rows }: (typeof bins)[number]) =>
          `${to - from === 1 ? from : `${from} to ${to - 1}`} tokens\n${rows.toLocaleString("en")} rows`,
      }),
      Plot.ruleY([0], { stroke: FAINT }),
    ],
  });
}

/** Memory of the device and of the process, in MiB. */
export function memoryChart(deviceBytes: Curve, rssBytes: Curve, format: (bytes: number) => string): Html {
  const MiB = 2 ** 20;
  const most = Math.max(...[deviceBytes, rssBytes].flatMap(({ points }) => points.map(({ max }) => max)));
  const unit = most > 4096 * MiB ? 1024 * MiB : MiB;
  const lines = Object.entries({ device: deviceBytes, process: rssBytes }).filter(
    ([, { points }]) => points.length > 0,
  );
  const data = lines.flatMap(([name, { points }]) => points.map(({ step, max }) => ({ name, step, bytes: max })));
  const byStep = new Map(rssBytes.points.map(({ step, max }) => [step, max]));
  const steps = (deviceBytes.points.length > 0 ? deviceBytes : rssBytes).points;
  return plot("memory", {
    x: stepAxis(data[0]!.step, data.at(-1)!.step),
    y: {
      label: null,
      grid: true,
      ticks: 5,
      zero: true,
      nice: true,
      tickFormat: (value: number) => `${value} ${unit === MiB ? "MiB" : "GiB"}`,
    },
    marginLeft: 62,
    marks: [
      ...lines.map(([name]) =>
        Plot.lineY(data.filter((at) => at.name === name), {
          ...{ x: "step", y: ({ bytes }: (typeof data)[number]) => bytes / unit, strokeWidth: 1.75 },
          stroke: name === "device" ? BLUE : ORANGE,
        }),
      ), // prettier-ignore
      bands(steps, ({ step, max }) =>
        [
          `update ${step.toLocaleString("en")}`,
          ...(deviceBytes.points.length > 0 ? [`device ${format(max)}`] : []),
          ...(byStep.has(step) ? [`process ${format(byStep.get(step)!)}`] : []),
        ].join("\n"),
      ),
    ],
  });
}
