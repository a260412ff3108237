export { didYouMean } from "@gpugrad/tensor";
