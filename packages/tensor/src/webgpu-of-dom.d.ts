// What declarations mean by GPUDevice and its like, from TypeScript 6 on: what lib.dom.d.ts says, with which @webgpu/types does not agree, or
// what @webgpu/types says where a project has chosen it. These interfaces merge with either, and stand in where there is neither.

interface GPUSupportedLimits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
}
interface GPUDevice {
  readonly limits: GPUSupportedLimits;
}

/* eslint-disable @typescript-eslint/no-empty-object-type -- see above */
interface GPU {}
interface GPUAdapter {}
interface GPUBindGroup {}
interface GPUBuffer {}
interface GPUTexture {}
interface GPUTextureView {}
interface GPUCommandEncoder {}
interface GPUComputePassTimestampWrites {}
interface GPUComputePipeline {}
interface GPUError {}
