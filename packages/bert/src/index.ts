import { openFolder } from "#platform";
import { opener } from "./opener.ts";

export { HubError, notHere, type HubErrorCode } from "./hub/errors.ts";

export {
  architectures,
  AutoConfig,
  AutoModel,
  AutoModelForMaskedLM,
  AutoModelForMultipleChoice,
  AutoModelForNextSentencePrediction,
  AutoModelForPreTraining,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
} from "./models/auto.ts";
export { BertConfig } from "./models/bert/bert-config.ts";
export {
  BertForMaskedLM,
  BertForMultipleChoice,
  BertForNextSentencePrediction,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
} from "./models/bert/bert-heads.ts";
export { BertModel, BertPreTrainedModel } from "./models/bert/bert.ts";
export { DebertaConfig } from "./models/deberta/deberta-config.ts";
export {
  DebertaForMaskedLM,
  DebertaForQuestionAnswering,
  DebertaForSequenceClassification,
  DebertaForTokenClassification,
} from "./models/deberta/deberta-heads.ts";
export { DebertaModel, DebertaPreTrainedModel } from "./models/deberta/deberta.ts";
export { DebertaV2Config } from "./models/deberta-v2/deberta-v2-config.ts";
export {
  DebertaV2ForMaskedLM,
  DebertaV2ForMultipleChoice,
  DebertaV2ForQuestionAnswering,
  DebertaV2ForSequenceClassification,
  DebertaV2ForTokenClassification,
} from "./models/deberta-v2/deberta-v2-heads.ts";
export { DebertaV2Model, DebertaV2PreTrainedModel } from "./models/deberta-v2/deberta-v2.ts";
export { AlbertConfig } from "./models/albert/albert-config.ts";
export * from "./models/albert/albert-heads.ts";
export { AlbertModel } from "./models/albert/albert.ts";
export * from "./models/camembert/camembert.ts";
export { DistilBertConfig } from "./models/distilbert/distilbert-config.ts";
export * from "./models/distilbert/distilbert-heads.ts";
export { layersForStudent, startFromTeacher, studentConfig } from "./models/distilbert/from-bert.ts";
export { DistilBertModel } from "./models/distilbert/distilbert.ts";
export { ElectraConfig } from "./models/electra/electra-config.ts";
export * from "./models/electra/electra-heads.ts";
export { ElectraModel } from "./models/electra/electra.ts";
export { RobertaConfig } from "./models/roberta/roberta-config.ts";
export * from "./models/roberta/roberta-heads.ts";
export { RobertaModel } from "./models/roberta/roberta.ts";
export * from "./models/xlm-roberta/xlm-roberta.ts";
export {
  family,
  type AnswerPositions,
  type BaseModel,
  type Family,
  type HeadName,
  type Heads,
  type Labels,
} from "./models/family.ts";
export * as configFields from "./models/fields.ts";
export type { Field, Fields, ValuesOf } from "./models/fields.ts";
export { maskedLMLoss } from "./models/heads/masked-lm.ts";
export { questionAnsweringLoss } from "./models/heads/question-answering.ts";
export { sequenceClassificationLoss } from "./models/heads/sequence-classification.ts";
export { tokenClassificationLoss } from "./models/heads/token-classification.ts";
export { checkInputs, prepareInputs, type ArrayInput, type ModelInputs, type PreparedInputs } from "./models/inputs.ts";
export {
  LayerStack,
  type Shared,
  type StackedLayer,
  type StackOptions,
  type StackOutput,
} from "./models/layer-stack.ts";
export type {
  BaseModelOutput,
  HeadOutput,
  OutputOptions,
  PreTrainingOutput,
  QuestionAnsweringOutput,
} from "./models/outputs.ts";
export {
  dropoutNames,
  PretrainedConfig,
  sizesOf,
  type CommonSizes,
  type ConfigClass,
  type ConfigValues,
  type ProblemType,
} from "./models/pretrained-config.ts";
export { PreTrainedModel, type ConfigOf, type FromPretrainedOptions, type ModelClass } from "./models/pretrained.ts";

export { AutoTokenizer, bertTokenizer } from "./tokenizer/auto-tokenizer.ts";
export { padRows, type PaddedBatch, type Padder, type PadRowsOptions } from "./tokenizer/padding.ts";
export { Encoding, type EncodeBatchOptions, type EncodeOptions } from "./tokenizer/encoding.ts";
export type { TokenizerInput } from "./tokenizer/pipeline.ts";
export { loadTranslator } from "#oniguruma";
export { Tokenizer } from "./tokenizer/tokenizer.ts";
export { trainTokenizer, type TrainTokenizerOptions } from "./tokenizer/training/train-tokenizer.ts";
export { truncationSides, type TruncationSide, type TruncationStrategy } from "./tokenizer/truncation.ts";

export { normalizeVectors, poolingWeights, poolTokens, poolWith } from "./sentence-embeddings/pooling.ts";
export { sentenceFiles } from "./sentence-embeddings/sentence-files.ts";
export { sentenceTexts, type SentenceTexts } from "./sentence-embeddings/sentence-texts.ts";
export { readSentenceSettings, type PoolingMode, type SentenceSettings } from "./sentence-embeddings/settings.ts";
export { planLoad, type LoadPlan } from "./weights/load-plan.ts";
export { formatLoadReport } from "./weights/load-report.ts";
export { openWeights } from "./weights/open-weights.ts";

export type { DownloadProgress, HubOptions, OnProgress } from "./opener.ts";
export { globMatcher } from "./hub/glob.ts";
export { repoId } from "./hub/names.ts";
export type { PushOptions, PushResult, RepoOptions } from "./hub/push.ts";
export type { HubRepo } from "./hub/settings.ts";
export { holdsNoTexts, shareable, shareableFile } from "./hub/shareable.ts";
export {
  clearOldCommits,
  createRepo,
  fetchFolder,
  fetchFromHub,
  listHubFiles,
  notForTheHub,
  openFolder,
  progressOnStderr,
  pushToHub,
} from "#platform";

// Re-exported for code that opens models.
export {
  activationNames as hiddenActs,
  byteSource,
  Dropout,
  Embedding,
  folderOf,
  LayerNorm,
  Linear,
  localFolder,
  Module,
  openFile,
  originFile,
  originFolder,
  parameter,
  parseJsonObject,
  readJson,
  readText,
  removeOrigin,
  SafetensorsFile,
  serializeSafetensors,
  toFloat32,
  toInt32,
  writeFileAside,
  writeSafetensors,
  type Activation as HiddenAct,
  type ByteSource,
  type Folder,
  type SafetensorsDtype,
  type SafetensorsReader,
  type TensorBytes,
  type TensorInfo,
  type TensorToWrite,
} from "@gpugrad/nn";

opener.open = openFolder;

export { LoraConfig, type LoraBias, type LoraOptions, type PeftTaskType } from "./adapters/lora-config.ts";
export { LoraLinear } from "./adapters/lora.ts";
export type { CombinationType } from "./adapters/combine.ts";
export { getPeftModel, PeftModel } from "./adapters/peft-model.ts";
