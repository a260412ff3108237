export { argumentCheck, checked, checkOptions, type Takes } from "./arguments.ts";
export { autocast, computeType, type AutocastOptions, type ComputeType } from "./autocast.ts";
export { bf16Bits, bf16Value, f16Bits, f16Value, type DType, type TypedArray } from "./dtype.ts";
export { check, DeviceError, DeviceLostError, GpugradError, OutOfMemoryError, ShaderError } from "./errors.ts";
export { type AdapterInfo } from "./runtime/adapter.ts";
export { type Device } from "./runtime/device.ts";
export { destroy, device, init, type InitOptions } from "./runtime/init.ts";
export { adapterKey, TUNING_VERSION, type Tuning } from "./runtime/tuning.ts";
export {
  debug,
  isOrigin,
  watchNumerics,
  type DebugOptions,
  type Inspected,
  type NumericsWatch,
  type OpRun,
} from "./numerics.ts";
export { Context } from "./context.ts";
export { didYouMean } from "./did-you-mean.ts";
export { compileAhead, dryRun, type DryRun } from "./dry-run.ts";
export { type PipelineSource } from "./runtime/pipelines.ts";
export { profile, traceDispatches } from "./runtime/profile.ts";
export type { DispatchTime, DispatchWork, KernelTime } from "./runtime/timestamps.ts";
export { keep, scope, Scope } from "./scope.ts";
export { broadcastShapes, resolveDim, sameShape, showShape, sizeOf, type Shape } from "./shape.ts";
export { visible } from "./terminal.ts";
export { memory, memoryByOwner, resetPeakMemory, type MemoryReport, type OwnedMemory } from "./storage.ts";
export { showValue } from "./values.ts";
export { leaks, Tensor, undisposed, type GradNode, type NestedArray } from "./tensor.ts";
export { emptyChecked as empty, fromArray, fromBytes, tensor } from "./factories.ts";
export { copyInto } from "./in-place.ts";

// For ops of one's own: see docs/your-own-op.md and docs/adding-an-op.md.
export { defineOp } from "./define-op.ts";
export { notDifferentiable } from "./op.ts";
export { kernel, specialize, type Kernel, type Params } from "./runtime/kernel.ts";
export { atEachReplay, atThisPoint, live, record, type Recording } from "./runtime/recording.ts";
export { run, type Launch } from "./runtime/run.ts";

// The seam for autograd.
export {
  hooks,
  type Backward,
  type BackwardOptions,
  type Call,
  type NotDifferentiable,
  type Recorder,
} from "./recorder.ts";
export { provenance } from "./provenance.ts";
export { numerics } from "./debug.ts";

export { withRung } from "./ops/ladders.ts";
export { clone } from "./ops/clone/clone.ts";
export { cast } from "./ops/cast/cast.ts";
export { logSoftmax, softmax, type SoftmaxOptions } from "./ops/softmax/softmax.ts";
export { linear, linearGelu, linearInt8 } from "./ops/matmul/linear.ts";
export { einsum, einsumPlan, tensordot } from "./ops/matmul/einsum.ts";
export { gruSequence, lstmSequence, type RecurrentSequenceOptions } from "./ops/recurrent/recurrent.ts";
export { matmul, type MatmulOptions } from "./ops/matmul/matmul.ts";
export { quantizeInt8 } from "./ops/matmul/quantize.ts";
export { addLayerNorm, layerNorm, type AddLayerNormOptions, type LayerNormOptions } from "./ops/norm/layer-norm.ts";
export { rmsNorm } from "./ops/norm/rms-norm.ts";
export {
  batchNorm,
  groupNorm,
  instanceNorm,
  type BatchNormOptions,
  type InstanceNormOptions,
} from "./ops/norm/batch-norm.ts";
export {
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  type ConvOptions,
  type ConvTransposeOptions,
} from "./ops/conv/conv.ts";
export type { PerDim } from "./ops/conv/window.ts";
export {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dWithIndices,
  avgPool1d,
  avgPool2d,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  type AvgPoolOptions,
  type MaxPoolOptions,
  type PooledAndIndices,
} from "./ops/pool/pool.ts";
export { interpolate, type InterpolateOptions } from "./ops/interpolate/interpolate.ts";
export { crossEntropy, type CrossEntropyOptions } from "./ops/loss/cross-entropy.ts";
export type { Reduction } from "./ops/loss/reduction.ts";

export {
  arange,
  eye,
  full,
  fullLike,
  linspace,
  ones,
  onesLike,
  zeros,
  zerosLike,
  type CreateOptions,
} from "./ops/create/create.ts";
export {
  bernoulli,
  permutation,
  rand,
  randint,
  randn,
  randomWords,
  randperm,
  uniform,
  type RandomOptions,
} from "./ops/create/random.ts";
export {
  defaultGenerator,
  Generator,
  manualSeed,
  philox,
  uniformFloat,
  type Draw,
  type GeneratorState,
} from "./random.ts";
export { dropout, type DropoutOptions } from "./ops/dropout/dropout.ts";
export {
  bertEmbeddings,
  bertEmbeddingsNorm,
  embedding,
  type BertEmbeddingsNormOptions,
  type BertEmbeddingsOptions,
  type EmbeddingOptions,
} from "./ops/embedding/embedding.ts";
export { embeddingBag, type EmbeddingBagOptions } from "./ops/embedding/embedding-bag.ts";
export { index, indexPut, type IndexEntry } from "./ops/index/advanced.ts";
export { gather, scatterAdd, takeAlongDim } from "./ops/index/gather.ts";
export { maskedSelect, nonzero } from "./ops/index/nonzero.ts";
export { scatter, scatterReduce, type ScatterReduceOptions } from "./ops/index/scatter.ts";
export { argsort, sort, topk, type SortOptions, type TopkOptions } from "./ops/sort/sort.ts";
export { multinomial, type MultinomialOptions } from "./ops/create/multinomial.ts";
export { indexSelect } from "./ops/index/index-select.ts";
export { oneHot } from "./ops/index/one-hot.ts";
export { concat, stack } from "./ops/shape/concat.ts";
export { diag, diagEmbed, diagonal, trace, type DiagonalOptions } from "./ops/shape/diagonal.ts";
export { expand } from "./ops/shape/expand.ts";
export { flip } from "./ops/shape/flip.ts";
export { cross, meshgrid, outer } from "./ops/shape/grid.ts";
export { permute, transpose } from "./ops/shape/permute.ts";
export { repeat } from "./ops/shape/repeat.ts";
export { flatten, reshape, squeeze, unsqueeze } from "./ops/shape/reshape.ts";
export { roll } from "./ops/shape/roll.ts";
export { pad, type PadOptions } from "./ops/shape/pad.ts";
export { chunk, select, slice, split, unbind, type Slice } from "./ops/shape/slice.ts";
export { tril, triu, type TriangleOptions } from "./ops/shape/triangle.ts";
export { addInPlace, fill } from "./ops/elementwise/fill.ts";
export {
  add,
  div,
  eq,
  fmod,
  ge,
  gt,
  le,
  logicalAnd,
  logicalOr,
  lt,
  maximum,
  minimum,
  mul,
  ne,
  pow,
  remainder,
  sub,
} from "./ops/elementwise/binary.ts";
export {
  abs,
  ceil,
  clamp,
  cos,
  erf,
  exp,
  floor,
  gelu,
  log,
  neg,
  reciprocal,
  relu,
  round,
  rsqrt,
  sigmoid,
  sign,
  silu,
  sin,
  sqrt,
  square,
  tanh,
  type ClampOptions,
  type GeluOptions,
} from "./ops/elementwise/unary.ts";
export { isfinite, isinf, isnan, logicalNot } from "./ops/elementwise/predicate.ts";
export { maskedFill, where } from "./ops/elementwise/where.ts";
export {
  celu,
  elu,
  expm1,
  hardsigmoid,
  hardswish,
  leakyRelu,
  log1p,
  logsigmoid,
  mish,
  selu,
  softplus,
} from "./ops/activation/activation.ts";
export { solveTriangular, type SolveTriangularOptions } from "./ops/linalg/solve-triangular.ts";
export { glu, hardtanh, logaddexp } from "./ops/activation/gated.ts";
export { all, any } from "./ops/reduce/any-all.ts";
export { cumprod, logcumsumexp } from "./ops/reduce/cumprod.ts";
export { cumsum } from "./ops/reduce/cumsum.ts";
export { amax, amin, argmax, argmin, max, min, type ValuesAndIndices } from "./ops/reduce/extremes.ts";
export { logsumexp } from "./ops/reduce/logsumexp.ts";
export { cdist } from "./ops/reduce/cdist.ts";
export { matrixNorm, norm, normalize, std, type VectorNormOptions } from "./ops/reduce/norm.ts";
export { prod } from "./ops/reduce/prod.ts";
export type { OneDimOptions, ReduceOptions } from "./ops/reduce/stretch.ts";
export { mean, sum, sumTo } from "./ops/reduce/sum.ts";
export { variance, type VarianceOptions } from "./ops/reduce/variance.ts";
export {
  numberDistances,
  relativeBias,
  type DistanceNumbers,
  type RelativeBiasOptions,
} from "./ops/relative/relative-bias.ts";
export { disentangledAttention, type DisentangledAttentionOptions } from "./ops/relative/disentangled-attention.ts";
export { countUp, rotary, rotaryAngles, type RotaryAngles, type RotaryOptions } from "./ops/rotary/rotary.ts";
export { bceWithLogits, type BceWithLogitsOptions } from "./ops/loss/bce-with-logits.ts";
export { cosineEmbeddingLoss, cosineSimilarity, type CosineEmbeddingLossOptions } from "./ops/loss/cosine.ts";
export { distillationLoss } from "./ops/loss/distillation.ts";
export {
  binaryCrossEntropy,
  gaussianNllLoss,
  huberLoss,
  nllLoss,
  type BinaryCrossEntropyOptions,
  type GaussianNllOptions,
  type NllLossOptions,
} from "./ops/loss/more-losses.ts";
export { klDiv, l1Loss, mseLoss, smoothL1Loss, type KlDivOptions } from "./ops/loss/elementwise-losses.ts";
export {
  scaledDotProductAttention,
  scaledDotProductAttentionWithLse,
  type AttentionOptions,
} from "./ops/attention/attention.ts";
