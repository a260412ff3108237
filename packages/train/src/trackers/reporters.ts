import type { TrainerCallback } from "../trainer/callbacks.ts";
import { htmlReport } from "../report/html-report.ts";
import { csvTracker } from "./csv.ts";
import { jsonlTracker } from "./jsonl.ts";
import { tensorBoardTracker } from "./tensorboard.ts";
import type { TrackerOptions } from "./tracker.ts";
import { wandbTracker } from "./wandb.ts";

/** What writes a run down, by the name that `reportTo` has for it. */
export const reporters: Record<string, (options: TrackerOptions) => TrainerCallback> = {
  html: htmlReport,
  jsonl: jsonlTracker,
  csv: csvTracker,
  tensorboard: tensorBoardTracker,
  wandb: wandbTracker,
};
