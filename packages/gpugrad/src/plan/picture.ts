import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { shortName } from "../commands/trace-events.ts";
import type { PlannedKernel, Scaling } from "./estimate.ts";

/** Kernels that a picture shows by name; the others are one bar. */
const MOST = 14;

const COLORS = { arithmetic: "#3a86c8", memory: "#e07b28", dispatches: "#7a8794" };

/** A bar for each kernel, as long as its time and colored by what bounds it: an SVG that needs nothing else. */
export function picture(title: string, kernels: readonly PlannedKernel[]): string {
  const rest = kernels.slice(MOST);
  const bars = kernels.slice(0, MOST).map(({ kernel, ms, bound }) => ({ name: shortName(kernel), ms, bound }));
  if (rest.length > 0)
    bars.push({ name: `${rest.length} others`, ms: rest.reduce((sum, { ms }) => sum + ms, 0), bound: "dispatches" });
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const drawing = Plot.plot({
    document,
    ...{ width: 720, height: 60 + 24 * bars.length, marginLeft: 210, marginRight: 60, marginTop: 34, marginBottom: 30 },
    style: { fontFamily: "system-ui, sans-serif", fontSize: "12px", background: "white" },
    x: { label: "ms a step, estimated", grid: true },
    y: { label: null, domain: bars.map(({ name }) => name) },
    color: { domain: Object.keys(COLORS), range: Object.values(COLORS) },
    marks: [
      Plot.barX(bars, { x: "ms", y: "name", fill: "bound" }),
      Plot.text(bars, {
        x: "ms",
        y: "name",
        text: ({ ms }: { ms: number }) => ms.toPrecision(3),
        dx: 4,
        textAnchor: "start",
      }),
      Plot.text([title], { frameAnchor: "top-left", dy: -24, fontWeight: "bold" }),
    ],
  });
  return drawing.outerHTML.replace("<svg ", `<svg xmlns="http://www.w3.org/2000/svg" `);
}

/** The share of what as many GPUs alone would do, by their number: an SVG that needs nothing else. */
export function scalingPicture(title: string, scales: readonly Scaling[]): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const points = scales.map(({ count, efficiency }) => ({ count, percent: 100 * efficiency }));
  const drawing = Plot.plot({
    document,
    ...{ width: 720, height: 320, marginLeft: 60, marginRight: 40, marginTop: 44, marginBottom: 40 },
    style: { fontFamily: "system-ui, sans-serif", fontSize: "12px", background: "white" },
    x: { type: "log", base: 2, label: "GPUs", ticks: points.map(({ count }) => count), tickFormat: String },
    y: { label: "efficiency in %, estimated", labelAnchor: "center", domain: [0, 100], grid: true }, // above the axis is the title
    marks: [
      Plot.line(points, { x: "count", y: "percent", stroke: COLORS.arithmetic, strokeWidth: 2 }),
      Plot.dot(points, { x: "count", y: "percent", fill: COLORS.arithmetic }),
      Plot.text(points, {
        x: "count",
        y: "percent",
        text: ({ percent }: { percent: number }) => percent.toFixed(0),
        dy: -12,
      }),
      Plot.text([title], { frameAnchor: "top-left", dy: -34, fontWeight: "bold" }),
    ],
  });
  return drawing.outerHTML.replace("<svg ", `<svg xmlns="http://www.w3.org/2000/svg" `);
}
