/**
 * Looks like `gpu` and does nothing: buffers have no memory, kernels aren't compiled, commands go nowhere. For `dryRun`, which counts what
 * would be allocated.
 */
export function nullGpu({ limits, features }: GPUDevice): GPUDevice {
  const nothing = (): void => undefined;
  const object = (): object => ({});
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const encoder = {
    beginComputePass: () => pass,
    copyBufferToBuffer: nothing,
    copyBufferToTexture: nothing,
    clearBuffer: nothing,
    finish: object,
  };
  const queue = { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: () => Promise.resolve() };
  return {
    limits,
    features,
    queue,
    lost: new Promise(nothing),
    addEventListener: nothing,
    createBuffer: ({ size }: GPUBufferDescriptor) => ({
      size,
      getMappedRange: () => new ArrayBuffer(size),
      unmap: nothing,
      destroy: nothing,
      mapAsync: () => Promise.reject(new Error("nothing was computed: this is a dry run")),
    }),
    createTexture: () => ({ createView: object }),
    createCommandEncoder: () => encoder,
    createShaderModule: object,
    createBindGroupLayout: object,
    createPipelineLayout: object,
    createComputePipeline: object,
    createBindGroup: object,
    pushErrorScope: nothing,
    popErrorScope: () => Promise.resolve(null),
    destroy: nothing,
  } as unknown as GPUDevice;
}
