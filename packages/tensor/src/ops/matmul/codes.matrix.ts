export { default as subgroupMatrix } from "./matmul-subgroup-matrix.wgsl";
export { default as rowSums } from "./row-sums-matrix.wgsl";
