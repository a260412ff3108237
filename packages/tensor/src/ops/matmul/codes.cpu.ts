export { default as registers } from "./matmul-registers.wgsl";
export { default as rows } from "./matmul-rows.cpu.wgsl";
export { default as subgroup } from "./matmul-subgroup.cpu.wgsl";
export { default as pack } from "./pack.wgsl";
export { default as weightsF16 } from "./weights-f16.wgsl";
export { default as weightsI8 } from "./weights-i8.wgsl";
export { default as weightsInPlace } from "./weights-in-place.wgsl";
