export { AutoConfig, BertConfig, PretrainedConfig, type ConfigValues, type ProblemType } from "./models/config.ts";
export { HubError, notHere, type HubErrorCode } from "./errors.ts";
export { globMatcher } from "./hub/glob.ts";
export type { HubOptions, HubRepo } from "./hub/settings.ts";
export type { PushOptions, PushResult, RepoOptions } from "./hub/push.ts";
export { repoId } from "./hub/names.ts";
export { holdsNoTexts, shareable, shareableFile } from "./hub/shareable.ts";
export type { DownloadProgress, OnProgress } from "./hub/progress.ts";
export { formatLoadReport } from "./weights/load-report.ts";
export { planLoad, type LoadPlan } from "./weights/load-plan.ts";
export { architectures, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification } from "./models/auto.ts";
export { BertModel, type BaseModelOutput, type OutputOptions } from "./models/bert/bert.ts";
export { BertForMaskedLM, BertForSequenceClassification, type HeadOutput } from "./models/bert/bert-heads.ts";
export { checkInputs, type ArrayInput, type ModelInputs } from "./models/inputs.ts";
export { PreTrainedModel, type FromPretrainedOptions } from "./models/pretrained.ts";
export { padRows, type PaddedBatch, type Padder, type PadRowsOptions } from "./tokenizer/padding.ts";
export { openWeights } from "./weights/open-weights.ts";
export { poolTokens, readSentenceSettings, type PoolingMode, type SentenceSettings } from "./sentence-transformers.ts";
export { AutoTokenizer, bertTokenizer } from "./tokenizer/auto-tokenizer.ts";
export { Encoding, Tokenizer, type EncodeBatchOptions, type EncodeOptions } from "./tokenizer/tokenizer.ts";
export { type TruncationStrategy } from "./tokenizer/truncation.ts";
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
// Of @gpugrad/nn, what whoever opens models needs too.
export {
  activationNames as hiddenActs,
  byteSource,
  Dropout,
  Embedding,
  folderOf,
  LayerNorm,
  Linear,
  Module,
  openFile,
  parameter,
  parseJsonObject,
  readJson,
  readText,
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
