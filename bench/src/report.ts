import type { Change } from "./compare.ts";
import type { Row } from "./harness.ts";
import type { Limits } from "./limits.ts";
import type { Record } from "./record.ts";

/** Device, versions, command and date, as lines of Markdown. */
export function heading({ date, command, device, cpu, versions }: Record): string {
  return [
    `- device: ${device}`,
    `- machine: ${cpu}`,
    `- versions: Node ${versions.node}, webgpu ${versions.webgpu}, gpugrad ${versions.gpugrad}`,
    `- command: \`${command}\``,
    `- date: ${date}`,
    "",
  ].join("\n");
}

/** All tables of a run. */
export function tables({ device, limits, rows }: Record): string {
  const host = rows.filter((row) => row.room === "host");
  const ladders = rows.some((row) => row.rung);
  const parts = [`${device}: ${limitsLine(limits)}`];
  if (ladders) {
    for (const name of new Set(rows.map((row) => row.case))) {
      parts.push(`${name}\n`, ladderTable(rows.filter((row) => row.case === name)));
    }
  } else if (rows.length > host.length) {
    parts.push(table(rows.filter((row) => row.room !== "host")));
  }
  if (host.length > 0) parts.push(hostTable(host));
  return parts.join("\n");
}

/** The adapter's limits. */
function limitsLine({ f32, f16, bytes, blas }: Limits): string {
  const parts = [
    `${significant(f32 / 1e9)} GFLOP/s in registers`,
    ...(f16 > f32 ? [`${significant(f16 / 1e9)} with factors of f16`] : []),
    `${significant(bytes / 1e9)} GB/s copying`,
  ];
  return `at most ${parts.join(", ")}${blas ? `; OpenBLAS on this CPU reaches ${significant(blas / 1e9)} GFLOP/s` : ""}.\n`;
}

/** The rows of kernels and models. */
function table(rows: readonly Row[]): string {
  const blas = rows.some((row) => row.of_blas !== undefined);
  return markdownTable(
    ["case", "ms", "spread", "compile", "GFLOP/s", "GB/s", "of limit", ...(blas ? ["of OpenBLAS"] : []), "kernel"],
    rows.map((row) => [
      row.case,
      row.error ? "failed" : digits(row.ms),
      spread(row),
      row.compile === null ? "" : row.compile.toFixed(0),
      row.gflops ? digits(row.gflops) : "",
      digits(row.gbs),
      percent(row.of_limit),
      ...(blas ? [percent(row.of_blas ?? null)] : []),
      row.kernel,
    ]),
  );
}

/** What JavaScript costs: the rows that recorded it. */
const hostTable = (rows: readonly Row[]): string =>
  markdownTable(
    ["JavaScript", "ms", "spread", "dispatches", "µs / dispatch", "submits"],
    rows.map((row) => [
      row.case,
      row.error ? "failed" : digits(row.ms),
      spread(row),
      `${row.dispatches ?? ""}`,
      digits(row.us_per_dispatch ?? null),
      `${row.submits ?? ""}`,
    ]),
  );

/** The rungs of one case, the speed of each relative to the first. */
function ladderTable(rows: readonly Row[]): string {
  const arithmetic = rows.some((row) => row.gflops);
  const first = rows[0]!.ms;
  return markdownTable(
    ["rung", "ms", "spread", arithmetic ? "GFLOP/s" : "GB/s", "of limit", "speed", "idea"],
    rows.map((row) => [
      row.rung ?? "chosen",
      row.error ? "failed" : digits(row.ms),
      spread(row),
      digits(arithmetic ? row.gflops : row.gbs),
      percent(row.of_limit),
      first && row.ms ? `${digits(first / row.ms)} ×` : "",
      row.idea ?? `what the op takes here: ${row.kernel}`,
    ]),
  );
}

/** What got slower or faster by more than the noise. */
export function changesTable(changes: readonly Change[]): string {
  const changed = changes.filter(({ verdict }) => verdict !== "same");
  const same = `${changes.length - changed.length} of ${changes.length} cases as before, within the noise.\n`;
  if (changed.length === 0) return same;
  const rows = changed.map(({ case: name, before, after, noise, verdict }) => [
    name,
    digits(before),
    digits(after),
    `${verdict === "slower" ? "+" : "−"}${Math.abs(100 * (after / before - 1)).toFixed(0)} %`,
    `±${(100 * noise).toFixed(0)} %`,
    verdict,
  ]);
  return `${markdownTable(["case", "ms before", "ms now", "change", "noise", "verdict"], rows)}\n${same}`;
}

const TEXT = new Set(["case", "kernel", "JavaScript", "rung", "idea", "verdict"]);

/** A table in GitHub's Markdown, aligned: numbers to the right. */
function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (TEXT.has(header[i]!) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (TEXT.has(header[i]!) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(header), `| ${rule.join(" | ")} |`, ...rows.map(line), ""].join("\n");
}

const spread = (row: Row): string => (row.spread === null ? "" : `±${(50 * row.spread).toFixed(0)} %`);
const percent = (share: number | null): string => (share === null ? "" : `${(100 * share).toFixed(0)} %`);
const digits = (value: number | null): string => (value === null ? "" : significant(value));

/** Three digits that count. */
export const significant = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
