export { default as dkvRegisters } from "./attention-dkv-registers.cpu.wgsl";
export { default as dkvSubgroup } from "./attention-dkv-subgroup.cpu.wgsl";
export { default as dqRegisters } from "./attention-dq-registers.cpu.wgsl";
export { default as dqSubgroup } from "./attention-dq-subgroup.cpu.wgsl";
export { default as registers } from "./attention-registers.cpu.wgsl";
export { default as subgroup } from "./attention-subgroup.cpu.wgsl";
