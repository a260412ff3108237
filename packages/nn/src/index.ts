export { Module } from "./module.ts";
export type { LoadResult } from "./state.ts";
export {
  beginWith,
  constant,
  initialize,
  parameter,
  setValue,
  withoutValues,
  type Deferred,
  type Initializer,
} from "./parameter.ts";
export * as initializers from "./initializers.ts";
export { activation, activationNames, denseActivation, type Activation } from "./activations.ts";
export { areOwn } from "./layers/are-own.ts";
export { attend, attendWithProbabilities, maskedBias, splitHeads, type AttendOptions } from "./layers/attend.ts";
export {
  BatchNorm1d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  ConvTranspose1d,
  ConvTranspose2d,
  GroupNorm,
  InstanceNorm1d,
  InstanceNorm2d,
  type BatchNormLayerOptions,
  type ConvLayerOptions,
  type ConvTransposeLayerOptions,
  type InstanceNormLayerOptions,
} from "./layers/convolution.ts";
export { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d } from "./layers/pooling.ts";
export { Sequential, type SequentialLayer } from "./layers/sequential.ts";
export { Dropout } from "./layers/dropout.ts";
export { Embedding } from "./layers/embedding.ts";
export { Int8Linear, keepInFewerBits } from "./layers/fewer-bits.ts";
export { Linear, type Fusion } from "./layers/linear.ts";
export {
  MultiheadAttention,
  type AttentionCall,
  type MultiheadAttentionOptions,
} from "./layers/multihead-attention.ts";
export { addNorm, LayerNorm, RMSNorm } from "./layers/norms.ts";
export {
  GRU,
  GRUCell,
  LSTM,
  LSTMCell,
  type RecurrentCall,
  type RecurrentCellOptions,
  type RecurrentOptions,
} from "./layers/recurrent.ts";
export {
  TransformerEncoderLayer,
  type TransformerEncoderLayerCall,
  type TransformerEncoderLayerOptions,
} from "./layers/transformer-encoder-layer.ts";
export { filterLogits, type FilterOptions } from "./sampling.ts";
export { localFolder, openFile, writeFileAside } from "#files";
export { originFile, originFolder, removeOrigin } from "./files/origin.ts";
export { byteSource, folderOf, type ByteSource, type Folder } from "./files/folder.ts";
export { decodeText, isObject, parseJson, parseJsonObject, readJson, readText, type Json } from "./files/json.ts";
export { toFloat32, toInt32 } from "./safetensors/convert.ts";
export type { SafetensorsDtype } from "./safetensors/dtypes.ts";
export { SafetensorsFile, type SafetensorsReader, type TensorBytes, type TensorInfo } from "./safetensors/file.ts";
export { deviceDtype, loadModule, saveModule, writeParameter } from "./safetensors/save-module.ts";
export { serializeSafetensors, writeSafetensors, type TensorToWrite } from "./safetensors/write.ts";
