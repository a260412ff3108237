export type { DType, TypedArray } from "./dtype.ts";
export { DeviceError, GpugradError, ShaderError } from "./errors.ts";
export { destroy, device, init, type AdapterInfo, type Device } from "./runtime/device.ts";
export { keep, scope } from "./scope.ts";
export type { Shape } from "./shape.ts";
export { memory, resetPeakMemory, type MemoryReport } from "./storage.ts";
export { fromArray, fromBytes, Tensor, tensor, type NestedArray } from "./tensor.ts";
export { cast } from "./ops/cast/cast.ts";
export { logSoftmax, softmax, type SoftmaxOptions } from "./ops/softmax/softmax.ts";
