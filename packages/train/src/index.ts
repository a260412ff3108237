export { cleanHtml } from "./data/clean-html.ts";
export {
  collate,
  DataLoader,
  type Batch,
  type BatchTokenizer,
  type CollateOptions,
  type DataLoaderOptions,
} from "./data/data-loader.ts";
export { Dataset, type ColumnOptions, type LabelInfo, type Row } from "./data/dataset.ts";
export type { DataFolder } from "./data/folder.ts";
export { dataFolder, loadDataset, loadDatasetDict, type LoadOptions } from "./data/load-dataset.ts";
export { DataError } from "./errors.ts";
export { initGradScaler, updateGradScaler, type GradScalerOptions, type GradScalerState } from "./grad-scaler.ts";
export {
  accuracyScore,
  classificationReport,
  confusionMatrix,
  matthewsCorrcoef,
  precisionRecallF1,
  precisionRecallF1PerClass,
  type Average,
  type Scores,
} from "./metrics.ts";
export { Adam, AdamW, type AdamOptions } from "./optim/adamw.ts";
export { clipGradNorm, clipGradValue } from "./optim/clip.ts";
export {
  noDecayGroups,
  Optimizer,
  type NamedParameters,
  type OptimizerOptions,
  type ParamGroup,
} from "./optim/optimizer.ts";
export { SGD, type SgdOptions } from "./optim/sgd.ts";
export { shuffledIndices } from "./random.ts";
export {
  getConstantSchedule,
  getConstantScheduleWithWarmup,
  getCosineScheduleWithWarmup,
  getLinearScheduleWithWarmup,
  getScheduler,
  SCHEDULER_NAMES,
  type LrScheduler,
  type Schedule,
  type SchedulerName,
  type SchedulerOptions,
} from "./schedule.ts";
export {
  Trainer,
  type EvalEvent,
  type PredictionOutput,
  type StepEvent,
  type TrainerCallbacks,
  type TrainerOptions,
  type TrainOutput,
} from "./trainer.ts";
export { trainingArguments, type TrainingArguments } from "./training-arguments.ts";
