import type { AdapterInfo } from "@gpugrad/tensor";

/** A GPU as its vendor's data sheet has it: peaks that no program reaches. */
export interface Gpu {
  name: string;
  /** Multiply-adds of f32 by the ordinary units, in TFLOP/s. */
  f32: number;
  /** Of f16 with sums in f32 by matrix units, dense, in TFLOP/s; 0 where WebGPU offers none that the kernels here use. */
  matrix: number;
  /** Memory, in GB/s and GB. */
  bandwidth: number;
  memory: number;
  /** To and from the host, in GB/s: what gradients of several GPUs go through. */
  link: number;
  lanes: number;
  /** Multiprocessors, or cores: each has 512 invocations of a large product at work. */
  cores: number;
  /** What its driver lets a workgroup have, in KiB, and a kernel, in storage buffers. */
  workgroupKib: number;
  storageBuffers: number;
}

/** As Vulkan has them, seen on an H200. */
const nvidia = { lanes: 32, workgroupKib: 48, storageBuffers: 16 };
const apple = { lanes: 32, workgroupKib: 32, storageBuffers: 8 };

/** By the name that `--gpu` takes. */
export const gpus: Readonly<Record<string, Gpu>> = {
  h200: { name: "NVIDIA H200", f32: 66.9, matrix: 989, bandwidth: 4800, memory: 141, link: 50, cores: 132, ...nvidia },
  h100: {
    name: "NVIDIA H100 SXM",
    f32: 66.9,
    matrix: 989,
    bandwidth: 3350,
    memory: 80,
    link: 50,
    cores: 132,
    ...nvidia,
  },
  a100: {
    name: "NVIDIA A100 80 GB",
    f32: 19.5,
    matrix: 312,
    bandwidth: 2039,
    memory: 80,
    link: 25,
    cores: 108,
    ...nvidia,
  },
  l4: { name: "NVIDIA L4", f32: 30.3, matrix: 121, bandwidth: 300, memory: 24, link: 25, cores: 58, ...nvidia },
  t4: { name: "NVIDIA T4", f32: 8.1, matrix: 65, bandwidth: 320, memory: 16, link: 12, cores: 40, ...nvidia },
  rtx4090: {
    name: "NVIDIA RTX 4090",
    f32: 82.6,
    matrix: 165,
    bandwidth: 1008,
    memory: 24,
    link: 25,
    cores: 128,
    ...nvidia,
  },
  rtx3090: {
    name: "NVIDIA RTX 3090",
    f32: 35.6,
    matrix: 71,
    bandwidth: 936,
    memory: 24,
    link: 25,
    cores: 82,
    ...nvidia,
  },
  // Matrix units of f16 with sums in f32 aren't among those that Metal offers here.
  "m4-max": {
    name: "Apple M4 Max, 40 cores",
    f32: 18.4,
    matrix: 0,
    bandwidth: 546,
    memory: 96,
    link: 10,
    cores: 40,
    ...apple,
  },
};

/** What WebGPU would say of it: the kernels are chosen by that. */
export const adapterOf = ({ matrix, lanes, cores, workgroupKib, storageBuffers }: Gpu): Partial<AdapterInfo> => ({
  cpu: false,
  subgroupSize: [lanes, lanes],
  workgroupBytes: workgroupKib * 1024,
  workgroupInvocations: 1024,
  storageBuffers,
  residentInvocations: 512 * cores,
  subgroupMatrix: matrix > 0 ? { M: 16, N: 16, K: 16, problem: undefined } : undefined,
  features: ["shader-f16", "subgroups", "timestamp-query"],
  leftOut: [],
});
