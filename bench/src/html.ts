import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { Row } from "./harness.ts";
import type { Run } from "./record.ts";
import { facts, isText, limitsLine, sections, type Table } from "./report.ts";

const { document } = parseHTML("<!doctype html><html><body></body></html>");

// Mid tones, distinguishable on white and on black.
const COLORS = [
  "#3a86c8",
  "#e07b28",
  "#3a9d68",
  "#c2549a",
  "#8a6fd1",
  "#a8901f",
  "#d15353",
  "#2f9fac",
  "#8d7260",
  "#7a8794",
  "#b04a2f",
  "#5b63c7",
];

/** A run as one page that needs nothing else: roofline, bars, tables. */
export function page(record: Run): string {
  const timed = record.rows.filter((row) => row.ms !== null && row.room !== "host");
  const ladders = timed.some((row) => row.rung);
  const charts = ladders
    ? [...new Set(timed.map((row) => row.case))].map((name) =>
        ladderBars(
          name,
          timed.filter((row) => row.case === name),
        ),
      )
    : [shareBars(timed), roofline(record, timed)];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>gpugrad on ${escaped(record.device)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>gpugrad on ${escaped(record.device)}</h1>
<dl>${facts(record)
    .map(([name, value]) => `<dt>${name}</dt><dd>${escaped(value)}</dd>`)
    .join("")}<dt>limits</dt><dd>${escaped(limitsLine(record.limits))}</dd></dl>
${charts.join("\n")}
${sections(record)
  .map(({ title, table }) => `${title ? `<h2>${escaped(title)}</h2>` : ""}${htmlTable(table)}`)
  .join("\n")}
</body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark; --muted: light-dark(#666, #aaa); --line: light-dark(#ddd, #3a3a3a); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; background: light-dark(#fff, #161616); color: light-dark(#222, #e6e6e6); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 2.5rem 0; } figcaption { color: var(--muted); margin-bottom: 0.5rem; }
svg { background: none; max-width: 100%; height: auto; overflow: visible; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: 1.5rem 0; }
th, td { padding: 2px 8px; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; } .number { text-align: right; }
`;

/** How close each case comes to what the adapter can do. */
function shareBars(rows: readonly Row[]): string {
  const data = rows.map((row) => ({ ...row, label: `${(100 * row.of_limit!).toFixed(0)} %` }));
  const chart = plot({
    ...barLayout(rows.map((row) => row.case)),
    x: {
      label: "share of the limit →",
      tickFormat: "%",
      domain: [0, Math.max(1, ...rows.map((row) => row.of_limit!))],
      grid: true,
    },
    color: colorsOf(rows),
    marks: [
      Plot.barX(data, { x: "of_limit", y: "case", fill: "room", title: titleOf, insetTop: 2, insetBottom: 2 }),
      Plot.text(data, { x: "of_limit", y: "case", text: "label", textAnchor: "start", dx: 4 }),
      Plot.ruleX([1], { stroke: "currentColor", strokeDasharray: "3 3" }),
    ],
  });
  return figure(
    "The time that this adapter's arithmetic or memory would need at least, as a share of the time measured.",
    chart,
  );
}

/** Operations per second over operations per byte, under the roof that copying and multiply-adds make. */
function roofline({ limits, rows }: Run, timed: readonly Row[]): string {
  const data = timed.filter((row) => row.gflops).map((row) => ({ ...row, number: `${rows.indexOf(row) + 1}` }));
  if (data.length === 0) return "";
  const intensities = data.map((row) => row.intensity);
  const [left, right] = [Math.min(1, ...intensities) / 2, Math.max(...intensities) * 2];
  const roofs = [
    { name: "f32", flops: limits.f32 },
    ...(limits.f16 > limits.f32 ? [{ name: "f16", flops: limits.f16 }] : []),
    ...(limits.blas ? [{ name: "OpenBLAS", flops: limits.blas }] : []),
  ];
  const highest = Math.max(...roofs.map((roof) => roof.flops));
  const lowest = Math.min(...data.map((row) => row.gflops!)) / 2;
  const slope = [left, highest / limits.bytes].map((x) => ({ x, y: (x * limits.bytes) / 1e9 }));
  const chart = plot({
    width: 900,
    height: 460,
    marginLeft: 60,
    marginRight: 80,
    x: { type: "log", label: "operations per byte →", domain: [left, right], grid: true, tickFormat: "~s" },
    y: { type: "log", label: "↑ GFLOP/s", domain: [lowest, (1.5 * highest) / 1e9], grid: true, tickFormat: "~s" },
    color: colorsOf(timed, false),
    marks: [
      Plot.line(slope, { x: "x", y: "y", stroke: "currentColor", clip: true }),
      ...roofs.flatMap(({ name, flops }) => [
        Plot.line([flops / limits.bytes, right].map((x) => ({ x, y: flops / 1e9 })), { x: "x", y: "y", stroke: "currentColor", strokeDasharray: name === "f32" ? "" : "3 3" }), // prettier-ignore
        Plot.text([{ x: right, y: flops / 1e9 }], { x: "x", y: "y", text: () => name, ...(name === "OpenBLAS" ? { textAnchor: "end", dy: -8 } : { textAnchor: "start", dx: 6 }) }), // prettier-ignore
      ]),
      Plot.dot(data, { x: "intensity", y: "gflops", fill: "room", r: 8, title: titleOf }),
      Plot.text(data, { x: "intensity", y: "gflops", text: "number", fill: "white", fontSize: 9, title: titleOf }),
    ],
  });
  return figure(
    "Roofline: what bounds a case is the slanted line (memory) left of the bend, the level one (arithmetic) right of it. Numbers are the lines of the table below; cases without arithmetic to speak of aren't here.",
    chart,
  );
}

/** The rungs of one case. */
function ladderBars(name: string, rows: readonly Row[]): string {
  const first = rows[0]!.ms!;
  const data = rows.map((row) => ({ ...row, rung: row.rung ?? "(chosen here)", speed: first / row.ms!, label: `${(first / row.ms!).toPrecision(3)} × · ${row.ms!.toPrecision(3)} ms` })); // prettier-ignore
  const chart = plot({
    ...barLayout(data.map((row) => row.rung)),
    marginRight: 140,
    x: { label: "speed, relative to the first rung →", grid: true },
    marks: [
      Plot.barX(data, { x: "speed", y: "rung", fill: (row: Row) => (row.idea ? COLORS[0] : COLORS[2]), title: titleOf, insetTop: 2, insetBottom: 2 }), // prettier-ignore
      Plot.text(data, { x: "speed", y: "rung", text: "label", textAnchor: "start", dx: 4 }),
    ],
  });
  return figure(name, chart);
}

/** Horizontal bars in the order given. */
const barLayout = (names: readonly string[]): Plot.PlotOptions => ({
  width: 900,
  height: 22 * names.length + 60,
  marginLeft: 30 + 6.5 * Math.max(...names.map((name) => name.length)),
  marginRight: 60,
  y: { label: null, domain: names },
});

const colorsOf = (rows: readonly Row[], legend = true): Plot.ScaleOptions => ({
  type: "ordinal",
  domain: [...new Set(rows.map((row) => row.room))],
  range: COLORS,
  legend,
});

const titleOf = (row: Row): string =>
  [row.case, `${row.ms!.toPrecision(3)} ms`, row.gflops ? `${row.gflops.toPrecision(3)} GFLOP/s` : "", `${row.gbs!.toPrecision(3)} GB/s`, row.kernel].filter(Boolean).join("\n"); // prettier-ignore

const plot = (options: Plot.PlotOptions): string => Plot.plot({ ...options, document: document }).outerHTML;

const figure = (caption: string, chart: string): string =>
  `<figure><figcaption>${escaped(caption)}</figcaption>${chart}</figure>`;

function htmlTable({ header, rows }: Table): string {
  const cell = (tag: "th" | "td", text: string, i: number): string => `<${tag}${isText(header[i]!) ? "" : ' class="number"'}>${escaped(text)}</${tag}>`; // prettier-ignore
  const line = (cells: readonly string[], tag: "th" | "td", number: string): string =>
    `<tr><${tag} class="number">${number}</${tag}>${cells.map((text, i) => cell(tag, text, i)).join("")}</tr>`;
  const body = rows.map((cells, i) => line(cells, "td", `${i + 1}`)).join("\n");
  return `<div class="wide"><table><thead>${line(header, "th", "")}</thead><tbody>${body}</tbody></table></div>`;
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
