import { formatNumber, formatTable } from "../format.ts";

/** Metrics by their names without `eval_` or `test_`; how long it took is `runtime`. */
export function plainMetrics(metrics: Readonly<Record<string, number>>): Record<string, number> {
  const named = Object.entries(metrics).map(([name, value]) => [name.replace(/^(eval|test)_/, ""), value] as const);
  return Object.fromEntries(named.filter(([name]) => !/^(epoch|step|.*_per_second)$/.test(name)));
}

/** Metrics as two columns. */
export const metricsTable = (metrics: Readonly<Record<string, number>>): string =>
  `${formatTable(Object.entries(metrics).map(([name, value]) => [name, formatNumber(value)]))}\n`;
