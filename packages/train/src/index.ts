// All public names of the package.
export {
  EarlyStoppingCallback,
  type CallbackContext,
  type CallbackFunction,
  type EvalEvent,
  type StepEvent,
  type TrainerCallback,
  type TrainerEvent,
  type UpdateEvent,
} from "./trainer/callbacks.ts";
export { cleanHtml } from "./data/clean-html.ts";
export {
  encodeRows,
  padTokens,
  type Arrays,
  type Batch,
  type BatchPlace,
  type BatchTokenizer,
  type Collate,
  type EncodedRow,
  type Inputs,
  type NamedArray,
  type Tokens,
} from "./data/batch.ts";
export { collate, DataLoader, type CollateOptions, type DataLoaderOptions } from "./data/data-loader.ts";
export { findColumns, type ColumnOptions } from "./data/columns.ts";
export { Dataset, type BadRows, type Row } from "./data/dataset.ts";
export type { LabelInfo } from "./data/labels.ts";
export type { DataFolder } from "./data/readers/folder.ts";
export {
  dataFolder,
  getDatasetSplitNames,
  labelsAs,
  loadDataset,
  loadDatasetDict,
  openTables,
  type DataFiles,
  type LoadOptions,
  type Tables,
} from "./data/load-dataset.ts";
export { namedError } from "./data/named.ts";
export { shownList, shownText, shownValue } from "./data/shown.ts";
export { openTable } from "./data/readers/open-table.ts";
export { classWeights, formatLabelCounts, labelCounts } from "./data/class-weights.ts";
export { tableDataset } from "./data/table-dataset.ts";
export {
  cellOf,
  parseObject,
  type Cells,
  type OpenSource,
  type ReadLimits,
  type Table,
  type TextFiles,
} from "./data/readers/table.ts";
export {
  lengthGroupedIndices,
  paddingReport,
  paddingShare,
  windowedIndices,
  type PaddingOptions,
  type PaddingReport,
} from "./data/sampling.ts";
export { fit, type FitData, type FitEpoch, type FitModel, type FitOptions, type FitStep } from "./fit/fit.ts";
export { kFolds, stratifiedFolds } from "./data/folds.ts";
export { tokenizeByRanks } from "./data/join-tokens.ts";
export { tokenizeDataset, type TokenizedDataset, type TokenizeOptions } from "./data/tokenize-dataset.ts";
export { unpackTokens, type TokenChunk } from "./data/tokens.ts";
export {
  memoryAdvice,
  modelLike,
  stepMemory,
  withMemoryAdvice,
  type MemoryAdvice,
  type MemoryChange,
  type StepMemory,
  type StepMemoryOptions,
  type StepShape,
} from "./diagnostics/memory-advice.ts";
export { restore, snapshot, type NamedTensors, type Snapshot } from "./diagnostics/snapshot.ts";
export type { SearchReport, SearchTrial } from "./report/search-page.ts";
export { searchReport } from "./report/search-report.ts";
export { adapterOf } from "./report/adapter.ts";
export { csvCell } from "./trackers/csv-cell.ts";
export { DataError } from "./errors.ts";
export { SaveError } from "./checkpoint/save-error.ts";
export { formatBytes, formatDuration, formatNumber, formatRate, formatTable } from "./format.ts";
export {
  GradScaler,
  initGradScaler,
  updateGradScaler,
  type GradScalerOptions,
  type GradScalerState,
  type GradScalerStateDict,
  type ScaledStepOptions,
} from "./optim/grad-scaler.ts";
export {
  accuracyScore,
  balancedAccuracyScore,
  classificationReport,
  cohenKappaScore,
  confusionMatrix,
  matthewsCorrcoef,
  precisionRecallF1,
  precisionRecallF1PerClass,
  type Average,
  type ClassIds,
  type ClassScores,
  type Scores,
} from "./metrics/classification.ts";
export {
  averagePrecisionScore,
  calibration,
  rocAucScore,
  rocCurve,
  type CalibrationBin,
  type RocPoint,
} from "./metrics/ranking.ts";
export {
  entitiesOf,
  entityF1,
  entityScores,
  isEntityTag,
  tagAccuracy,
  TAG_SCHEMES,
  type Entity,
  type EntityOptions,
  type EntityScores,
  type TagScheme,
  type TagSequences,
} from "./metrics/entities.ts";
export {
  hammingLoss,
  labelRankingAveragePrecision,
  multiLabelF1,
  multiLabelScores,
  subsetAccuracy,
  type LabelSets,
  type MultiLabelAverage,
} from "./metrics/multi-label.ts";
export { plainMetrics } from "./metrics/table.ts";
export { kendallTau, meanAbsoluteError, meanSquaredError, pearsonr, r2Score, spearmanr } from "./metrics/regression.ts";
export { SIMILARITIES, similarityMetrics, type SimilarityName } from "./metrics/similarity.ts";
export {
  answerScores,
  normalizeAnswer,
  squadV1,
  squadV2,
  type AnsweredQuestion,
  type AnswerScores,
} from "./metrics/squad.ts";
export { Adafactor, type AdafactorOptions } from "./optim/adafactor.ts";
export { Adam, AdamW, type AdamOptions } from "./optim/adamw.ts";
export { clipFactor, clipGradNorm, clipGradValue, type ClipFactorOptions, type NormOptions } from "./optim/clip.ts";
export { createOptimizer } from "./optim/create-optimizer.ts";
export { freeze, layerwiseLrDecay, type LayerwiseLrDecayOptions } from "./optim/layers.ts";
export { noDecayGroups, type NamedParameters, type OptimizerOptions, type ParamGroup } from "./optim/groups.ts";
export { Optimizer, type GradientFactor } from "./optim/optimizer.ts";
export type { OptimizerState, StateTensor } from "./optim/optimizer-state.ts";
export { AveragedWeights, type AveragedWeightsOptions } from "./optim/averaged-weights.ts";
export {
  Adadelta,
  Adagrad,
  Adamax,
  AMSGrad,
  Lion,
  NAdam,
  RAdam,
  RMSprop,
  type AdadeltaOptions,
  type AdagradOptions,
  type AdamaxOptions,
  type AMSGradOptions,
  type LionOptions,
  type NAdamOptions,
  type RAdamOptions,
  type RMSpropOptions,
} from "./optim/moments.ts";
export { SGD, type SgdOptions } from "./optim/sgd.ts";
export { didYouMean, optionHint } from "./arguments/nearest.ts";
export { saveTokenizer, startWorkers, version } from "#files";
export type { ComparisonName } from "./tasks/distillation/comparisons.ts";
export { distillation, TEACHER_LOGITS, type DistillationOptions } from "./tasks/distillation/distillation.ts";
export { withTeacherLogits, type TaughtDataset, type TeacherLogitsOptions } from "./tasks/distillation/teacher-logits.ts"; // prettier-ignore
export { maskedLM, type MaskedLMOptions, type WordGuesses } from "./tasks/masked-lm/masked-lm.ts";
export { wordGuesses, type GuessDecoder, type WordGuess } from "./tasks/masked-lm/guesses.ts";
export { packTexts } from "./tasks/masked-lm/pack-texts.ts";
export { documentDataset, holdsDocuments, type DocumentRow } from "./tasks/pre-training/dataset.ts";
export { pairSentences, type PairKind, type PairOptions } from "./tasks/pre-training/pair-sentences.ts";
export {
  pairKindOf,
  preTraining,
  type PairPrediction,
  type PreTrainingPredictions,
} from "./tasks/pre-training/pre-training.ts";
export {
  choiceColumns,
  choiceDataset,
  holdsChoices,
  multipleChoice,
  type ChoiceColumns,
  type ChoiceRow,
} from "./tasks/multiple-choice/multiple-choice.ts";
export {
  holdsQuestions,
  questionDataset,
  questionWindows,
  type Answer,
  type QuestionRow,
  type WindowRow,
} from "./tasks/question-answering/dataset.ts";
export {
  questionAnswering,
  type AnswerPredictions,
  type PredictedAnswer,
} from "./tasks/question-answering/question-answering.ts";
export {
  maskTokens,
  wholeWordsOf,
  wordsOfTokens,
  type MaskableTokens,
  type MaskingOptions,
  type MaskVocabulary,
} from "./tasks/masked-lm/mask-tokens.ts";
export {
  bestAnswers,
  type AnswerCandidate,
  type AnswerWindow,
  type BestAnswers,
  type BestAnswersOptions,
} from "./tasks/question-answering/best-answers.ts";
export {
  contrastiveLoss,
  cosentLoss,
  cosineSimilarityLoss,
  multipleNegativesRankingLoss,
  tripletLoss,
  type DistanceName,
  type RankingOptions,
} from "./tasks/sentence-embeddings/losses.ts";
export { chooseLoss, SENTENCE_LOSSES, type SentenceLossName } from "./tasks/sentence-embeddings/choose-loss.ts";
export {
  holdsAnchors,
  sentenceColumns,
  sentenceDataset,
  type SentenceColumns,
  type SentenceRow,
} from "./tasks/sentence-embeddings/dataset.ts";
export {
  sentenceEmbeddings,
  type RowVectors,
  type SentenceEmbeddingOptions,
  type SentenceVectors,
} from "./tasks/sentence-embeddings/sentence-embeddings.ts";
export { holdsTags, taggedDataset, type TaggedOptions, type TaggedRow } from "./tasks/token-classification/dataset.ts";
export {
  tokenClassification,
  type SentenceTags,
  type TagPredictions,
  type TokenClassificationOptions,
} from "./tasks/token-classification/token-classification.ts";
export {
  AGGREGATION_STRATEGIES,
  entitiesInText,
  type AggregationStrategy,
  type TextEntity,
  type TokenNames,
  type TokenWindow,
} from "./tasks/token-classification/entities-in-text.ts";
export { shiftsOf } from "./tasks/token-classification/encode-words.ts";
export { labelConfig } from "./tasks/label-config.ts";
export { multiLabelClassification, type MultiLabelOptions } from "./tasks/multi-label/multi-label.ts";
export { regression } from "./tasks/regression/regression.ts";
export { defaultMetricNames } from "./tasks/sequence-classification/metrics.ts";
export type { LabelConfig } from "./tasks/sequence-classification/names.ts";
export {
  nonFiniteRows,
  predictedClasses,
  type ComputeMetrics,
  type PredictionOutput,
  type Predictions,
  type RowPrediction,
} from "./tasks/sequence-classification/predictions.ts";
export { SCORE_FUNCTIONS, scoresOf, type Score, type ScoreFunction } from "./tasks/sequence-classification/scores.ts";
export {
  poolWindows,
  textWindows,
  WINDOW_POOLINGS,
  windowedTask,
  type TextWindowRow,
  type WindowPooling,
} from "./tasks/text-windows.ts";
export { taskFor, taskOf } from "./tasks/task-for.ts";
export type {
  Evaluated,
  Found,
  Labelled,
  Loss,
  LossSetting,
  ModelOutput,
  Task,
  TaskCard,
  TrainableModel,
} from "./tasks/task.ts";
export { textClassification } from "./tasks/text-classification/text-classification.ts";
export { ProgressCallback, type ProgressOptions } from "./trainer/progress-callback.ts";
export { progressLine, type ProgressLine, type ProgressStream } from "./progress.ts";
export { safeName } from "./checkpoint/safe-name.ts";
export { shuffledIndices, splitMix64, type Random } from "./random.ts";
export { bagOfWordsBaseline, type BagOfWordsResult } from "./sample/bag-of-words.ts";
export { generateReviews, REVIEW_LABELS, type Review } from "./sample/reviews.ts";
export { SAMPLE_RECIPE } from "./sample/sample.ts";
export { trainWordPiece } from "./sample/wordpiece.ts";
export {
  getGreedySchedule,
  getReduceOnPlateauSchedule,
  type GreedyOptions,
  type ReduceLrOnPlateauOptions,
} from "./schedule/by-metric.ts";
export {
  getConstantSchedule,
  getConstantScheduleWithWarmup,
  getCosineWithHardRestartsScheduleWithWarmup,
  getCosineWithMinLrScheduleWithWarmup,
  getCosineWithMinLrScheduleWithWarmupLrRate,
  getCosineScheduleWithWarmup,
  getInverseSqrtSchedule,
  getLinearScheduleWithWarmup,
  getPolynomialDecayScheduleWithWarmup,
  getWsdSchedule,
  type Schedule,
} from "./schedule/by-steps.ts";
export { getScheduler, type SchedulerOptions } from "./schedule/get-scheduler.ts";
export { SCHEDULER_NAMES, type LrScheduler, type SchedulerName } from "./schedule/scheduler.ts";
export { Trainer } from "./trainer/trainer.ts";
export type { TrainerOptions } from "./trainer/trainer-options.ts";
export type { CallbackState, LogEntry, TrainerControl, TrainerState } from "./trainer/trainer-state.ts";
export {
  argumentsToJson,
  camelCase,
  parseArgument,
  REPORTERS,
  snakeCase,
  TRAINING_ARGUMENTS,
  trainingArguments,
  type Argument,
  type TrainingArguments,
} from "./arguments/training-arguments.ts";
export type { TrainOutput } from "./trainer/run-parts.ts";
export { localRank, partOf, type Communicator, type ReduceOp } from "./parallel/communicator.ts";
export {
  overlapOf,
  sumOverRanks,
  type BucketTimes,
  type ExchangeTimes,
  type SumOptions,
} from "./parallel/sum-gradients.ts";
export { sumHalves } from "./parallel/halves.ts";
export { launcher, type Launcher } from "./parallel/launcher.ts";
export { loopback } from "./parallel/loopback.ts";
export { Ranks, RankTimeoutError, SharedError } from "./parallel/ranks.ts";
export type { Exchange } from "./trainer/recorded-steps.ts";
export type { RunStore } from "./checkpoint/run-store.ts";
export type { TrainerServices } from "./trainer/services.ts";
export type { ComputeLoss } from "./trainer/loss.ts";
export { NonFiniteError } from "./trainer/non-finite.ts";
export type { HubCallback, HubCallbackOptions } from "./hub/hub-callback.ts";
export type { ModelCardOptions } from "./hub/model-card-callback.ts";
export type { TrackerOptions } from "./trackers/tracker.ts";
export type { Checkpoint } from "./checkpoint/checkpoints.ts";
export {
  checkOutputFolder,
  csvTracker,
  hubCallback,
  jsonlTracker,
  latestCheckpoint,
  modelCardCallback,
  tensorBoardTracker,
  wandbTracker,
} from "#services";
