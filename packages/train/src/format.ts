/** Seconds as people say them: `0.42 s`, `12 s`, `3 min 05 s`, `2 h 07 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "?";
  if (seconds < 9.995) return `${seconds.toFixed(seconds < 0.9995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** Bytes in binary units with three digits: `512 B`, `1.50 KiB`, `418 MiB`, `2.05 GiB`. */
export function formatBytes(bytes: number): string {
  return withUnit(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}

/** A rate with three digits: `formatRate(51234, "tokens")` is `51.2 k tokens/s`. */
export function formatRate(perSecond: number, what: string): string {
  const number = withUnit(perSecond, 1000, ["", "k", "M", "G", "T"]);
  return `${number.trim()} ${what}/s`;
}

function withUnit(value: number, base: number, units: readonly string[]): string {
  if (!Number.isFinite(value)) return `? ${units[0]}`;
  let power = 0;
  // 999.5 would print as 1000: it belongs to the next unit.
  while (Math.abs(value) >= (power === 0 && base === 1024 ? base : 999.5) && power + 1 < units.length) {
    value /= base;
    power++;
  }
  const decimals =
    power === 0 && Number.isInteger(value) ? 0 : Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0;
  return `${value.toFixed(decimals)} ${units[power]}`;
}

/** Rows of cells as lines of equal columns: the first column to the left, the others by `align`. */
export function formatTable(
  rows: readonly (readonly string[])[],
  { align = "right" }: { align?: "left" | "right" } = {},
): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  const pad = (cell: string, i: number): string =>
    i === 0 || align === "left" ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
  return rows.map((row) => `  ${row.map(pad).join("  ")}`.trimEnd()).join("\n");
}

/** A number for people: `0.8123`, `12.35`, `4.9e-5`, `1234`. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size < 1e-3) return value.toExponential(2);
  return value.toFixed(size < 10 ? 4 : 2);
}
