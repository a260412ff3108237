import { lines, markup, type Html } from "./html.ts";

export const count = (value: number): string => value.toLocaleString("en");
export const updates = (many: number): string => `${count(many)} ${many === 1 ? "update" : "updates"}`;
/** Four digits: `0.3124`, `5.000e-5`. */
export const digits = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
export const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
export const strong = (text: string): Html => markup`<b>${text}</b>`;
/** `eval_roc_auc` as people say it. */
export const metricName = (name: string): string =>
  name
    .replace(/^(eval|test)_/, "")
    .replaceAll("_", " ")
    .replace(/\b(f1|mcc|mse|mae|roc|auc)\b/g, (short) => short.toUpperCase())
    .replace(/^(pearson|spearman)/, (name) => name[0]!.toUpperCase() + name.slice(1));

export const section = (title: string, content: Html): Html =>
  String(content) === ""
    ? content
    : markup`<section><h2>${title}</h2>
${content}
</section>`;
export const grid = (figures: readonly Html[], kind = ""): Html =>
  figures.length > 0 ? markup`<div class="grid ${kind}">${lines(figures)}</div>` : lines([]);
export const figure = (title: string, caption: Html | string, chart: Html): Html =>
  markup`<figure><h3>${title}</h3><figcaption>${caption}</figcaption>${chart}</figure>`;

export const tilesOf = (values: readonly [string, string][]): Html =>
  values.length > 0
    ? markup`<dl class="tiles">${values.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
    : lines([]);
