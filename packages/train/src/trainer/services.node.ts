import { saveElsewhere } from "../checkpoint/elsewhere.ts";
import { OutputFolder } from "../checkpoint/output-folder.ts";
import { saveMetrics } from "../checkpoint/results.ts";
import { hubCallback } from "../hub/hub-callback.ts";
import { modelCardCallback } from "../hub/model-card-callback.ts";
import { reporters } from "../trackers/reporters.ts";
import type { TrainerServices } from "./services.ts";

export { latestCheckpoint } from "../checkpoint/checkpoints.ts";
export { checkOutputFolder } from "../checkpoint/output-folder.ts";
export { csvTracker } from "../trackers/csv.ts";
export { jsonlTracker } from "../trackers/jsonl.ts";
export { tensorBoardTracker } from "../trackers/tensorboard.ts";
export { wandbTracker } from "../trackers/wandb.ts";
export { hubCallback, modelCardCallback };

/** Node: folders, trackers and the Hub. */
export const services: TrainerServices = {
  ...{ reporters, modelCard: modelCardCallback, hub: hubCallback, saveElsewhere, saveMetrics },
  openRun: (outputDir) => OutputFolder.open(outputDir),
};
