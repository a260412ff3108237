import { axesChart, scatterChart, type Placed } from "./search-charts.ts";
import { lines, markup, trusted, type Html } from "./html.ts";
import { count, digits, figure, grid, metricName, percent, section, tilesOf } from "./page-parts.ts";
import style from "./page.css?raw";

/** What a search for hyperparameters has found, for its page. */
export interface SearchReport {
  title: string;
  /** What trials are compared by: `eval_loss`. */
  metric: string;
  /** Whether more of it is better. */
  greater: boolean;
  /** Names of what was varied, and whether its axis is logarithmic. */
  parameters: readonly { name: string; log: boolean }[];
  trials: readonly SearchTrial[];
  /** As an ISO date. */
  writtenAt: string;
}

export interface SearchTrial {
  name: string;
  values: Readonly<Record<string, string | number | boolean>>;
  /** Null where there is none: it failed, or is still to come. */
  value: number | null;
  /** The share of its updates that it was trained for. */
  share: number;
  /** `done`, `failed`, `stopped early`, … */
  status: string;
}

/** A search as one page: the best trial, a line for each across the axes of what was varied, each of these alone, and a table. */
export function searchPage(report: SearchReport): string {
  const { title, metric, trials, parameters, writtenAt } = report;
  const measured = trials.filter(({ value }) => value !== null && Number.isFinite(value));
  const best = measured[0];
  const placed: Placed[] = measured.map(({ name, values, value, share }, i) => ({
    ...{ name, values, value: value!, share, isBest: i === 0 },
  }));
  const name = metricName(metric);
  const tiles: [string, string][] = [
    ...(best ? [[`best ${name}`, digits(best.value!)] as [string, string], ["best trial", best.name] as [string, string]] : []), // prettier-ignore
    ["trials", count(trials.length)],
    ...parameters.map(({ name }): [string, string] => [name, best ? shown(best.values[name]) : "?"]),
  ];
  const single = parameters.map((parameter) => figure(parameter.name, `${name} by trial`, scatterChart(placed, parameter, name))); // prettier-ignore
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${title}</title>
        <style>${trusted(style)}</style>
      </head>
      <body>
        <header><h1>${title}</h1></header>
        ${tilesOf(tiles)}
        ${placed.length > 0 && section("All trials", figure("From what was chosen to what came of it", "a line for each trial, with what it had come to when it ended; the best one is orange", axesChart(placed, parameters, name)))}
        ${placed.length > 0 && section("One by one", grid(single, "small"))}
        ${section("Table", table(report))}
        <footer>Written ${writtenAt.slice(0, 16).replace("T", " ")} UTC by gpugrad.</footer>
      </body>
    </html>
    `.toString();
}

const shown = (value: string | number | boolean | undefined): string =>
  typeof value === "number" ? digits(value) : String(value);

function table({ metric, parameters, trials }: SearchReport): Html {
  const heads = ["trial", ...parameters.map(({ name }) => name), "trained", metricName(metric), ""];
  const rows = trials.map(({ name, values, value, share, status }, i) => {
    const cells = [name, ...parameters.map((each) => shown(values[each.name])), percent(share), value === null ? "" : digits(value), status]; // prettier-ignore
    const kind = i === 0 && value !== null && trusted(` class="best"`);
    return markup`<tr${kind}>${cells.map((cell) => markup`<td>${cell}</td>`)}</tr>`;
  });
  return markup`<div class="wide"><table><thead><tr>${heads.map((head) => markup`<th>${head}</th>`)}</tr></thead><tbody>
${lines(rows)}
</tbody></table></div>`;
}
