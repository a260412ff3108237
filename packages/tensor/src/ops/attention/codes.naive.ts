export { default as forward } from "./attention-naive.wgsl";
