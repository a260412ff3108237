import type { Row } from "./harness.ts";
import type { Run } from "./record.ts";

/** A case, or rung, in two runs. */
export interface Change {
  case: string;
  before: number;
  after: number;
  /** The least change that counts, as a share: the spreads of both, and at least 5 %. */
  noise: number;
  verdict: "slower" | "faster" | "same";
}

const LEAST_NOISE = 0.05;

const nameOf = (row: Row): string => (row.rung ? `${row.case} ${row.rung}` : row.case);

/** What changed for the cases that both runs have a time of. */
export function compare(before: Run, after: Run): Change[] {
  const old = new Map(before.rows.map((row) => [nameOf(row), row]));
  return after.rows.flatMap((row): Change[] => {
    const was = old.get(nameOf(row));
    if (!was || was.ms === null || row.ms === null) return [];
    const noise = Math.max(LEAST_NOISE, (was.spread ?? 0) + (row.spread ?? 0));
    const verdict = row.ms > was.ms * (1 + noise) ? "slower" : was.ms > row.ms * (1 + noise) ? "faster" : "same";
    return [{ case: nameOf(row), before: was.ms, after: row.ms, noise, verdict }];
  });
}

/** What makes two runs hard to compare: another device, another pace of the machine. */
export function caveats(before: Run, after: Run): string[] {
  const notes: string[] = [];
  if (before.device !== after.device) notes.push(`another device: ${before.device} then, ${after.device} now`);
  for (const [limit, what] of [
    ["f32", "arithmetic"],
    ["bytes", "copying"],
  ] as const) {
    const ratio = after.limits[limit] / before.limits[limit];
    if (Math.abs(ratio - 1) > 0.1) notes.push(`${what} itself runs at ${Math.round(100 * ratio)} % of its pace then`);
  }
  return notes;
}
