import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAside } from "@gpugrad/bert";
import type { TrainerCallback } from "../trainer/callbacks.ts";
import { goesOnWithout, type TrackerOptions } from "./tracker.ts";

/**
 * Writes `<outputDir>/log.jsonl`: an object for each entry of the log. A run that is resumed writes again what its checkpoint knows, so that
 * steps that are done again appear once. An evaluation without training leaves the file alone.
 */
export function jsonlTracker({ outputDir, warn }: TrackerOptions): TrainerCallback {
  const path = join(outputDir, "log.jsonl");
  let begun = false;
  return goesOnWithout("reportTo jsonl", warn, {
    onTrainBegin: async (_args, { logHistory }) => {
      await writeFileAside(path, logHistory.map(asLine).join(""));
      begun = true;
    },
    onLog: async (_args, { logHistory }) => {
      if (begun) await appendFile(path, asLine(logHistory.at(-1)!));
    },
  });
}

const asLine = (entry: object): string => `${JSON.stringify(entry)}\n`;
