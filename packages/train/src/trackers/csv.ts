import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAside } from "@gpugrad/bert";
import { csvCell } from "./csv-cell.ts";
import type { TrainerCallback } from "../trainer/callbacks.ts";
import type { LogEntry } from "../trainer/trainer-state.ts";
import { goesOnWithout, type TrackerOptions } from "./tracker.ts";

/**
 * Writes `<outputDir>/log.csv`: a row for each entry of the log, a column for each key that any of them has. A key that comes up later gets its
 * column in all rows: the file is rewritten then, as it is when a run is resumed, from what its checkpoint knows. An evaluation without training
 * leaves the file alone.
 */
export function csvTracker({ outputDir, warn }: TrackerOptions): TrainerCallback {
  const path = join(outputDir, "log.csv");
  let columns: string[] = [];
  const valueOf = (entry: LogEntry, key: string): number | string => (Object.hasOwn(entry, key) ? entry[key]! : "");
  const asRow = (entry: LogEntry): string => `${columns.map((key) => csvCell(valueOf(entry, key))).join(",")}\n`;
  const writeAll = (entries: readonly LogEntry[]): Promise<void> => {
    columns = [...new Set(["step", "epoch", ...entries.flatMap((entry) => Object.keys(entry))])];
    return writeFileAside(path, `${columns.map(csvCell).join(",")}\n${entries.map(asRow).join("")}`);
  };
  return goesOnWithout("reportTo csv", warn, {
    onTrainBegin: (_args, { logHistory }) => writeAll(logHistory),
    async onLog(_args, { logHistory }) {
      if (columns.length === 0) return;
      const entry = logHistory.at(-1)!;
      const isKnown = Object.keys(entry).every((key) => columns.includes(key));
      await (isKnown ? appendFile(path, asRow(entry)) : writeAll(logHistory));
    },
  });
}
