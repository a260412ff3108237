export { default as dkv } from "./attention-dkv-subgroup-matrix.wgsl";
export { default as dq } from "./attention-dq-subgroup-matrix.wgsl";
export { default as forward } from "./attention-subgroup-matrix.wgsl";
