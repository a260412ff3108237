import { mismatch, notPromised, type Check } from "./tolerance.ts";

/** What became of a case. */
export interface Result {
  /** `ops`, `models` …: a folder of the reference. */
  group: string;
  /** The file or folder in it. */
  file: string;
  name: string;
  /** How its tensors compare; empty for a case that was not run. */
  checks: Check[];
  /** Why it was not run. */
  notCovered?: string;
}

export const idOf = ({ group, file, name }: Pick<Result, "group" | "file" | "name">): string =>
  [group, file, name].filter(Boolean).join("/");

/** What `work` checks; if it throws, that it does. */
export async function attempt(work: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await work();
  } catch (error) {
    return [mismatch("error", error instanceof Error ? error.message : String(error))];
  }
}

type Status = "passed" | "failed" | "not_covered" | "not_promised";

export function statusOf({ checks, notCovered }: Result): Status {
  if (notCovered !== undefined) return "not_covered";
  if (checks.some((c) => !(c.share <= 1))) return "failed";
  return checks.some((c) => c.notPromised.length > 0) ? "not_promised" : "passed";
}

interface Worst {
  case: string;
  tensor: string;
  error: number;
  tolerance: number;
  share: number;
}

/** Counts of a group's (or a file's) cases, and the largest error as a share of its tolerance among those that passed or failed. */
export interface Summary {
  group: string;
  cases: number;
  passed: number;
  failed: number;
  not_covered: number;
  not_promised: number;
  worst: Worst | null;
}

function summarize(group: string, results: readonly Result[]): Summary {
  const counts = { passed: 0, failed: 0, not_covered: 0, not_promised: 0 };
  let worst: Worst | null = null;
  for (const result of results) {
    counts[statusOf(result)]++;
    for (const { tensor, error, tolerance, share } of result.checks) {
      if (typeof error !== "number" || (worst && share <= worst.share)) continue;
      worst = { case: idOf(result), tensor, error, tolerance, share };
    }
  }
  return { group, cases: results.length, ...counts, worst };
}

const by = (results: readonly Result[], key: (r: Result) => string): Map<string, Result[]> => {
  const groups = new Map<string, Result[]>();
  for (const result of results) groups.set(key(result), [...(groups.get(key(result)) ?? []), result]);
  return groups;
};

/** The report as JSON, for others to read. */
export function toJson(results: readonly Result[], adapter: string): object {
  const which = (status: Status) => results.filter((r) => statusOf(r) === status);
  return {
    adapter,
    groups: [...by(results, (r) => r.group)].map(([group, list]) => summarize(group, list)),
    files: [...by(results, (r) => `${r.group}/${r.file}`)].map(([file, list]) => summarize(file, list)),
    failures: which("failed").flatMap((r) =>
      r.checks
        .filter((c) => !(c.share <= 1))
        .map(({ tensor, error, tolerance }) => ({ case: idOf(r), tensor, error, tolerance })),
    ),
    not_covered: which("not_covered").map((r) => ({ case: idOf(r), reason: r.notCovered })),
    not_promised: which("not_promised").map((r) => ({ case: idOf(r), reason: excusesOf(r) })),
  };
}

const excusesOf = (result: Result): string[] => [...new Set(result.checks.flatMap((c) => c.notPromised))];

/** The report for readers: a table per group, then what failed, what was not covered, and what WGSL doesn't promise. */
export function toText(results: readonly Result[]): string {
  const lines: string[] = [];
  for (const [group, list] of by(results, (r) => r.group)) {
    const rows = [...by(list, (r) => r.file)].map(([file, of]) => cells(summarize(file, of)));
    const header = [group, "cases", "passed", "failed", "not covered", "not promised", "largest error / tolerance"];
    lines.push(...table([header, ...rows, cells(summarize("total", list))]), "");
  }
  for (const result of results) {
    for (const { tensor, error, tolerance, share } of result.checks.filter((c) => !(c.share <= 1))) {
      const what =
        typeof error === "number"
          ? `off by ${error.toExponential(2)}, tolerance ${tolerance.toExponential(2)} (${share.toPrecision(3)} times)`
          : error;
      lines.push(`FAILED ${idOf(result)} ${tensor}: ${what}`);
    }
  }
  const count = (status: Status) => results.filter((r) => statusOf(r) === status);
  for (const [reason, list] of by(count("not_covered"), (r) => r.notCovered!)) {
    lines.push(`not covered: ${reason}: ${list.map(idOf).join(", ")}`);
  }
  for (const [kind, list] of by(count("not_promised"), (r) => excusesOf(r).join(" + "))) {
    lines.push(`not promised by WGSL: ${kind}: ${list.map(idOf).join(", ")}`);
    for (const name of excusesOf(list[0]!)) lines.push(`  ${notPromised[name as keyof typeof notPromised].spec}`);
  }
  lines.push(
    `${results.length} cases: ${count("passed").length} passed, ${count("failed").length} failed, ` +
      `${count("not_covered").length} not covered, ${count("not_promised").length} not promised`,
  );
  return lines.join("\n");
}

const cells = ({ group, worst, ...counts }: Summary): string[] => [
  group,
  ...[counts.cases, counts.passed, counts.failed, counts.not_covered, counts.not_promised].map((n) =>
    n ? String(n) : "·",
  ),
  worst ? describe(worst) : "",
];

const describe = ({ share, case: id, tensor }: Worst): string =>
  share === 0 ? "exact" : [share.toFixed(3), id.split("/").slice(2).join("/"), tensor].filter(Boolean).join("  ");

/** Columns as wide as their widest cell: names to the left, numbers to the right. */
function table(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === row.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join("  ")
      .trimEnd(),
  );
}
