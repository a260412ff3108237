/** The five packages under one name. */
export * from "@gpugrad/tensor";
export * from "@gpugrad/autograd";
export * from "@gpugrad/nn";
export * from "@gpugrad/bert";
export * from "@gpugrad/train";
