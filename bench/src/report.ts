import type { Change } from "./compare.ts";
import type { Row } from "./harness.ts";
import type { Limits } from "./limits.ts";
import type { Run } from "./record.ts";

/** Cells under their headings. */
export interface Table {
  header: string[];
  rows: string[][];
}

/** What a run was made on, and how. */
export const facts = ({ date, command, device, cpu, versions }: Run): [name: string, value: string][] => [
  ["device", device],
  ["machine", cpu],
  ["versions", `Node ${versions.node}, webgpu ${versions.webgpu}, gpugrad ${versions.gpugrad}`],
  ["command", command],
  ["date", date],
];

/** The adapter's limits. */
export function limitsLine({ f32, f16, bytes, blas }: Limits): string {
  const parts = [
    `${significant(f32 / 1e9)} GFLOP/s in registers`,
    ...(f16 > f32 ? [`${significant(f16 / 1e9)} with factors of f16`] : []),
    `${significant(bytes / 1e9)} GB/s copying`,
  ];
  return `at most ${parts.join(", ")}${blas ? `; OpenBLAS on this CPU reaches ${significant(blas / 1e9)} GFLOP/s` : ""}`;
}

/** All tables of a run, in Markdown; with `heading`, what it was made on above. */
export function report(record: Run, { heading = false } = {}): string {
  const parts = heading
    ? [
        facts(record)
          .map(([name, value]) => `- ${name}: ${value}\n`)
          .join(""),
      ]
    : [];
  parts.push(`${record.device}: ${limitsLine(record.limits)}.\n`);
  for (const { title, table } of sections(record)) parts.push(...(title ? [`${title}\n`] : []), toMarkdown(table));
  return parts.join("\n");
}

/** The tables of a run: ladders case by case; or kernels and models, then what JavaScript costs. */
export function sections({ rows }: Run): { title?: string; table: Table }[] {
  if (rows.some((row) => row.rung)) {
    const names = [...new Set(rows.map((row) => row.case))];
    return names.map((title) => ({ title, table: ladderTable(rows.filter((row) => row.case === title)) }));
  }
  const host = rows.filter((row) => row.room === "host");
  const others = rows.filter((row) => row.room !== "host");
  return [
    ...(others.length > 0 ? [{ table: kernelTable(others) }] : []),
    ...(host.length > 0 ? [{ table: hostTable(host) }] : []),
  ];
}

function kernelTable(rows: readonly Row[]): Table {
  const blas = rows.some((row) => row.of_blas !== undefined);
  return {
    header: ["case", "ms", "spread", "compile", "GFLOP/s", "GB/s", "of limit", ...(blas ? ["of BLAS"] : []), "kernel"],
    rows: rows.map((row) => [
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
  };
}

/** What JavaScript costs. */
const hostTable = (rows: readonly Row[]): Table => ({
  header: ["JavaScript", "ms", "spread", "dispatches", "µs / dispatch", "submits"],
  rows: rows.map((row) => [
    row.case,
    row.error ? "failed" : digits(row.ms),
    spread(row),
    `${row.dispatches ?? ""}`,
    digits(row.us_per_dispatch ?? null),
    `${row.submits ?? ""}`,
  ]),
});

/** The rungs of one case, the speed of each relative to the first; last what the op takes by itself. */
function ladderTable(rows: readonly Row[]): Table {
  const arithmetic = rows.some((row) => row.gflops);
  const first = rows[0]!.ms;
  return {
    header: ["rung", "ms", "spread", arithmetic ? "GFLOP/s" : "GB/s", "of limit", "speed", "idea"],
    rows: rows.map((row) => [
      row.rung ?? "(chosen here)",
      row.error ? "failed" : digits(row.ms),
      spread(row),
      digits(arithmetic ? row.gflops : row.gbs),
      percent(row.of_limit),
      first && row.ms ? `${digits(first / row.ms)} ×` : "",
      row.idea ?? row.kernel,
    ]),
  };
}

/** What got slower or faster by more than the noise. */
export function changesReport(changes: readonly Change[]): string {
  const changed = changes.filter(({ verdict }) => verdict !== "same");
  const same = `${changes.length - changed.length} of ${changes.length} cases as before, within the noise.\n`;
  if (changed.length === 0) return same;
  const rows = changed.map(({ case: name, before, after, noise, verdict }) => [
    name,
    digits(before),
    digits(after),
    `${after > before ? "+" : "−"}${Math.abs(100 * (after / before - 1)).toFixed(0)} %`,
    `±${(100 * noise).toFixed(0)} %`,
    verdict,
  ]);
  return `${toMarkdown({ header: ["case", "ms before", "ms now", "change", "noise", "verdict"], rows })}\n${same}`;
}

/** Columns of words; the others are numbers, and are aligned to the right. */
export const isText = (heading: string): boolean =>
  ["case", "kernel", "JavaScript", "rung", "idea", "verdict"].includes(heading);

/** The table in GitHub's Markdown, its columns aligned. */
function toMarkdown({ header, rows }: Table): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const pad = (cell: string, i: number): string =>
    isText(header[i]!) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
  const line = (cells: readonly string[]): string => `| ${cells.map(pad).join(" | ")} |`;
  const rule = header.map((name, i) => (isText(name) ? "-".repeat(widths[i]!) : `${"-".repeat(widths[i]! - 1)}:`));
  return [line(header), line(rule), ...rows.map(line), ""].join("\n");
}

const spread = (row: Row): string => (row.spread === null ? "" : `±${(50 * row.spread).toFixed(0)} %`);
const percent = (share: number | null): string => (share === null ? "" : `${(100 * share).toFixed(0)} %`);
const digits = (value: number | null): string => (value === null ? "" : significant(value));

/** Three digits that count. */
const significant = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
