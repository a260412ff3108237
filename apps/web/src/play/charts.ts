import * as Plot from "@observablehq/plot";
import type { Evaluation, Step } from "./events.ts";

/** What charts show of a run. */
export interface Curves {
  name: string;
  steps: readonly Step[];
  evaluations: readonly Evaluation[];
}

const [BLUE, ORANGE, FAINT] = ["var(--play-blue)", "var(--play-orange)", "var(--vp-c-text-3)"];

interface Line {
  of: (run: Curves) => { step: number; value: number }[];
  /** A smoothed line over the values. */
  smooth?: boolean;
  dots?: boolean;
  color: string;
}

export interface ChartOptions {
  label: string;
  lines: readonly Line[];
  domain?: [number, number];
  format: (value: number) => string;
}

const lossOf = ({ steps }: Curves) => steps.map(({ step, loss }) => ({ step, value: loss }));
const metric =
  (name: string) =>
  ({ evaluations }: Curves) =>
    evaluations.flatMap(({ step, metrics }) => {
      const value = metrics[`eval_${name}`];
      return value === undefined ? [] : [{ step, value }];
    });

export const CHARTS: readonly ChartOptions[] = [
  {
    label: "Loss",
    lines: [
      { of: lossOf, smooth: true, color: BLUE },
      { of: metric("loss"), dots: true, color: ORANGE },
    ],
    format: (value) => value.toFixed(3),
  },
  {
    label: "Accuracy",
    lines: [{ of: metric("accuracy"), dots: true, color: ORANGE }],
    domain: [0, 1],
    format: (value) => `${(100 * value).toFixed(1)} %`,
  },
  {
    label: "Gradient norm",
    lines: [{ of: ({ steps }) => steps.map(({ step, gradNorm }) => ({ step, value: gradNorm })), smooth: true, color: BLUE }], // prettier-ignore
    format: (value) => value.toFixed(2),
  },
  {
    label: "Learning rate",
    lines: [{ of: ({ steps }) => steps.map(({ step, learningRate }) => ({ step, value: learningRate })), color: BLUE }],
    format: (value) => value.toExponential(1),
  },
];

/** How many points a line has at most: about one for each pixel. */
const MOST = 300;

/** Values over updates, of the run shown and, faint, of those that it is compared with. */
export function chart(options: ChartOptions, run: Curves, others: readonly Curves[], width: number): Element {
  const { lines, domain, format, label } = options;
  const marks: Plot.Markish[] = [];
  for (const other of others)
    for (const { of } of lines.slice(-1)) {
      const data = thinned(of(other));
      marks.push(Plot.lineY(data, { x: "step", y: "value", stroke: FAINT, strokeWidth: 1.25, strokeOpacity: 0.7 }));
      marks.push(Plot.text(data.slice(-1), { x: "step", y: "value", text: () => other.name, textAnchor: "end", dy: -7, fill: FAINT })); // prettier-ignore
    }
  for (const { of, smooth, dots, color } of lines) {
    const data = thinned(of(run));
    if (smooth) {
      const even = smoothed(data);
      marks.push(Plot.lineY(data, { x: "step", y: "value", stroke: color, strokeWidth: 1, strokeOpacity: 0.3 }));
      marks.push(Plot.lineY(even, { x: "step", y: "value", stroke: color, strokeWidth: 2 }));
    } else marks.push(Plot.lineY(data, { x: "step", y: "value", stroke: color, strokeWidth: 2 }));
    if (dots) marks.push(Plot.dot(data, { x: "step", y: "value", fill: color, r: data.length > 40 ? 1.5 : 2.5 }));
  }
  const pointed = thinned(lines[0]!.of(run));
  if (pointed.length > 1)
    marks.push(
      Plot.ruleX(pointed, Plot.pointerX({ x: "step", stroke: FAINT, strokeWidth: 1 })),
      Plot.text(
        pointed,
        Plot.pointerX({
          ...{ px: "step", py: "value", frameAnchor: "top-right", dy: -14, fill: "var(--vp-c-text-2)" },
          text: ({ step, value }: (typeof pointed)[number]) => `update ${step}: ${format(value)}`,
        }),
      ),
    );
  const last = lines.flatMap(({ of }) => of(run)).reduce((most, { step }) => Math.max(most, step), 1);
  const drawing = Plot.plot({
    ...{ width, height: 170, marginLeft: 40, marginBottom: 26, marginTop: 16, marginRight: 10 },
    style: { fontSize: "11px", background: "none", color: "var(--vp-c-text-2)", overflow: "visible" },
    ariaLabel: `${label} over ${last} updates`,
    x: { label: null, domain: [0, Math.max(last, 2)], ticks: 5, tickFormat: "~s" },
    y: {
      ...{ label: null, grid: true, ticks: 4, nice: true, ...(domain && { domain }) },
      ...(label === "Accuracy" && { tickFormat: "%" }),
      ...(label === "Learning rate" && {
        tickFormat: (rate: number) => (rate === 0 ? "0" : rate.toExponential()),
        zero: true,
      }),
      ...(label === "Loss" && { zero: true }),
    },
    marks,
  });
  drawing.setAttribute("role", "img"); // then the labels that Plot gives its groups are nobody's
  for (const group of drawing.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
  return drawing;
}

const thinned = <T>(data: readonly T[]): T[] => {
  if (data.length <= MOST) return [...data];
  const every = data.length / MOST;
  return Array.from({ length: MOST }, (_, i) => data[Math.min(data.length - 1, Math.round((i + 1) * every) - 1)]!);
};

/** An exponential mean over about a tenth of the values, started at their first. */
function smoothed(data: readonly { step: number; value: number }[]): { step: number; value: number }[] {
  const keep = 1 - 1 / Math.max(1, Math.min(20, data.length / 10));
  let [sum, weight] = [0, 0];
  return data.map(({ step, value }) => {
    sum = keep * sum + value;
    weight = keep * weight + 1;
    return { step, value: sum / weight };
  });
}
