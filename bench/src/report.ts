import type { Row } from "./harness.ts";
import type { Limits } from "./limits.ts";

/** The rows as a table for people, in Markdown. */
export function report(rows: readonly Row[], limits: Limits): string {
  const digits = (value: number | null, unit = ""): string => (value === null ? "" : `${significant(value)}${unit}`);
  const table = [
    ["case", "ms", "spread", "GFLOP/s", "GB/s", "of limit", "kernel"],
    ...rows.map((row) => [
      row.case,
      row.error ? "failed" : digits(row.ms),
      row.spread === null ? "" : `±${(50 * row.spread).toFixed(0)} %`,
      row.gflops ? digits(row.gflops) : "",
      digits(row.gbs),
      row.of_limit === null ? "" : `${(100 * row.of_limit).toFixed(0)} %`,
      row.kernel,
    ]),
  ];
  const widths = table[0]!.map((_, i) => Math.max(...table.map((line) => line[i]!.length)));
  const text = (cells: string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 || i === 6 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`;
  const rule = `| ${widths.map((w, i) => (i === 0 || i === 6 ? "-".repeat(w) : `${"-".repeat(w - 1)}:`)).join(" | ")} |`;
  return [
    `${rows[0]!.adapter}: at most ${significant(limits.flops / 1e9)} GFLOP/s in registers, ${significant(limits.bytes / 1e9)} GB/s copying.`,
    "",
    text(table[0]!),
    rule,
    ...table.slice(1).map(text),
    "",
  ].join("\n");
}

/** Three digits that count. */
const significant = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
