/** A case by a library. */
export interface PeerRow {
  case: string;
  peer: string;
  /** Of the library; of ours, the adapter. */
  version: string;
  /** Whether it computed on the same adapter as we did. */
  webgpu: boolean;
  /** The best round's median; null where there is none. */
  ms: number | null;
  /** The first call, with what it compiles. */
  first_ms: number | null;
  missing?: true;
  error?: string;
}

/** A table with a line per case: milliseconds by library, and ours as a share of the best other WebGPU library's. */
export function report(rows: readonly PeerRow[], { markdown }: { markdown: boolean }): string {
  const cases = [...new Set(rows.map((row) => row.case))];
  const labels = [...new Set(rows.map((row) => row.peer))];
  const cellOf = (row: PeerRow | undefined): string => {
    if (!row || row.missing) return "–";
    if (row.ms === null) return row.error?.startsWith("wrong result") ? "wrong" : "failed";
    return row.ms.toPrecision(3);
  };
  const lines = cases.map((name) => {
    const of = rows.filter((row) => row.case === name);
    const ours = of.find(({ peer }) => peer === "gpugrad")?.ms;
    const best = Math.min(...of.filter((r) => r.webgpu && r.peer !== "gpugrad").map(({ ms }) => ms ?? Infinity));
    const share = ours != null && Number.isFinite(best) ? (ours / best).toFixed(2) : "–";
    return [name, ...labels.map((label) => cellOf(of.find(({ peer }) => peer === label))), share];
  });
  const table = [["ms", ...labels, "ours ÷ best WebGPU peer"], ...lines];
  const versions = labels.map((label) => `${label}: ${rows.find(({ peer }) => peer === label)!.version}`).join("; ");
  const errors = rows.filter(({ error }) => error).map((row) => `${row.peer}, ${row.case}: ${row.error}`);
  const widths = table[0]!.map((_, i) => Math.max(...table.map((line) => line[i]!.length)));
  const pad = (line: string[]): string[] =>
    line.map((c, i) => (i === 0 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!)));
  const text = markdown
    ? [`| ${pad(table[0]!).join(" | ")} |`, `|${widths.map((_, i) => (i === 0 ? "---|" : "---:|")).join("")}`]
        .concat(table.slice(1).map((line) => `| ${pad(line).join(" | ")} |`))
        .join("\n")
    : table.map((line) => pad(line).join("  ")).join("\n");
  return [text, "", versions, ...errors, ""].join("\n");
}
