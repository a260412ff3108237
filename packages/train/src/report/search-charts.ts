import * as Plot from "@observablehq/plot";
import { BLUE, FAINT, ORANGE, plot } from "./charts.ts";
import type { Html } from "./html.ts";

/** A trial with a result. */
export interface Placed {
  name: string;
  values: Readonly<Record<string, string | number | boolean>>;
  value: number;
  share: number;
  isBest: boolean;
}

interface Parameter {
  name: string;
  log: boolean;
}

const written = (value: string | number | boolean): string =>
  typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value);

/** Where values lie on an axis from 0 to 1, and what its marks say. Others than numbers are spread in the order of their text. */
function axisOf(
  values: readonly (string | number | boolean)[],
  log: boolean,
): { place: (value: string | number | boolean) => number; marks: [place: number, text: string][] } {
  // prettier-ignore
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length < values.length) {
    const names = [...new Set(values.map(written))].sort();
    const place = (value: string | number | boolean): number => (names.indexOf(written(value)) + 0.5) / names.length;
    return { place, marks: names.map((name) => [place(name), name]) };
  }
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const scaled = (value: number): number => (log && low > 0 ? Math.log(value) : value);
  const span = scaled(high) - scaled(low);
  const place = (value: string | number | boolean): number => (span === 0 ? 0.5 : (scaled(Number(value)) - scaled(low)) / span); // prettier-ignore
  return { place, marks: span === 0 ? [[0.5, written(low)]] : [[0, written(low)], [1, written(high)]] }; // prettier-ignore
}

/** Parallel coordinates: an axis for each parameter, the metric's last, and a line across them for each trial. */
export function axesChart(trials: readonly Placed[], parameters: readonly Parameter[], metric: string): Html {
  const axes = [
    ...parameters.map(({ name, log }) => ({ name, ...axisOf(trials.map(({ values }) => values[name]!), log), of: ({ values }: Placed) => values[name]! })), // prettier-ignore
    { name: metric, ...axisOf(trials.map(({ value }) => value), false), of: ({ value }: Placed) => value },
  ]; // prettier-ignore
  const points = trials.flatMap((trial) =>
    axes.map((axis, x) => ({ trial: trial.name, isBest: trial.isBest, x, y: axis.place(axis.of(trial)) })),
  );
  const marks = axes.flatMap(({ marks }, x) => marks.map(([y, text]) => ({ x, y, text })));
  const line = (isBest: boolean): Plot.Markish =>
    Plot.line(points.filter((point) => point.isBest === isBest), {
      ...{ x: "x", y: "y", z: "trial", stroke: isBest ? ORANGE : BLUE, strokeWidth: isBest ? 2.5 : 1.25, strokeOpacity: isBest ? 1 : 0.55 },
    }); // prettier-ignore
  return plot("hyperparameters and results", {
    ...{ width: Math.max(1100, 170 * axes.length), height: 340, marginLeft: 70, marginRight: 90, marginTop: 30 },
    x: { axis: null, domain: [0, axes.length - 1] },
    y: { axis: null, domain: [-0.05, 1.05] },
    marks: [
      Plot.ruleX(axes.map((_, x) => x), { stroke: FAINT }), // prettier-ignore
      line(false),
      line(true),
      Plot.dot(points, { x: "x", y: "y", r: 3, fill: ({ isBest }: (typeof points)[number]) => (isBest ? ORANGE : BLUE), title: "trial" }), // prettier-ignore
      Plot.text(marks, { x: "x", y: "y", text: "text", dx: 6, textAnchor: "start", fill: "currentColor" }),
      Plot.text(axes.map(({ name }, x) => ({ name, x })), { x: "x", text: "name", frameAnchor: "top", dy: -20, fontWeight: 600 }), // prettier-ignore
    ],
  });
}

/** The metric over one parameter. */
export function scatterChart(trials: readonly Placed[], { name, log }: Parameter, metric: string): Html {
  const isNumber = trials.every(({ values }) => typeof values[name] === "number");
  const data = trials.map(({ values, ...trial }) => ({
    ...trial,
    x: isNumber ? values[name]! : written(values[name]!),
  }));
  const marks = {
    ...{ x: "x", y: "value", title: ({ name: trial, x, value }: (typeof data)[number]) => `${trial}\n${name} ${written(x)}\n${metric} ${written(value)}` }, // prettier-ignore
  };
  return plot(`${metric} over ${name}`, {
    ...{ width: 280, height: 180 },
    x: { label: null, ...(isNumber ? { type: log ? "log" : "linear", ticks: 4, inset: 8, nice: !log, tickFormat: "~g" } : { type: "point" }) }, // prettier-ignore
    y: { label: null, grid: true, ticks: 4, nice: true },
    marks: [
      Plot.dot(data, { ...marks, fill: BLUE, fillOpacity: 0.7, r: 4 }),
      Plot.dot(data.filter(({ isBest }) => isBest), { ...marks, fill: ORANGE, r: 5 }), // prettier-ignore
    ],
  });
}
