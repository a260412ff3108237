import type { TrainerCallback } from "./trainer/callbacks.ts";
import { htmlReport } from "./report/html-report.ts";
import { csvTracker } from "./trackers/csv.ts";
import { jsonlTracker } from "./trackers/jsonl.ts";
import { tensorBoardTracker } from "./trackers/tensorboard.ts";
import type { TrackerOptions } from "./trackers/tracker.ts";
import { wandbTracker } from "./trackers/wandb.ts";

/** What writes a run down, by the name that `reportTo` has for it. */
export const reporters: Record<string, (options: TrackerOptions) => TrainerCallback> = {
  html: htmlReport,
  jsonl: jsonlTracker,
  csv: csvTracker,
  tensorboard: tensorBoardTracker,
  wandb: wandbTracker,
};
