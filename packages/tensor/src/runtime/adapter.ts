import type { AdapterChoice } from "./platform.ts";

/** What `init()` found: for the reader, and for the choice of kernels. */
export interface AdapterInfo {
  /** The adapter's own words: `llvmpipe (LLVM 19.1.7, 256 bits)`. */
  readonly description: string;
  readonly vendor: string;
  readonly architecture: string;
  /** Runs on the CPU: kernels without workgroup memory win there. */
  readonly cpu: boolean;
  /** Smallest and largest number of lanes that work in lockstep; 1 where subgroups aren't offered. */
  readonly subgroupSize: readonly [min: number, max: number];
  /** Bytes of memory, and invocations, that a workgroup may have on this device. */
  readonly workgroupBytes: number;
  readonly workgroupInvocations: number;
  /** Storage buffers that a kernel may have on this device: at least eight. */
  readonly storageBuffers: number;
  /** What matrix units multiply by one instruction, where WebGPU lets subgroups use them: f16, with sums in f32. */
  readonly subgroupMatrix: SubgroupMatrix | undefined;
  /** Invocations of a large product that are at work at once, as `init()` counted them on a GPU: so many fill it. */
  readonly residentInvocations?: number | undefined;
  readonly features: readonly string[];
  /** Kernels that are not to be used here, as `matmul/tiled`: see {@link InitOptions}. */
  readonly leftOut?: readonly string[];
  readonly via: AdapterChoice["via"];
}

/** M × K by K × N in one instruction of a subgroup. */
export interface SubgroupMatrix {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** What went wrong when it was tried at the start: no kernel uses it then. */
  problem: string | undefined;
}

const CPU_ADAPTERS = /llvmpipe|lavapipe|swiftshader|software|basic render/i;

/** Not in the standard yet, and so not in its types. */
export const SUBGROUP_MATRIX: string = "chromium-experimental-subgroup-matrix";

interface SubgroupMatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** The largest shape with factors in f16 and sums in f32. */
function subgroupMatrixOf(info: GPUAdapterInfo): SubgroupMatrix | undefined {
  const configs = (info as { subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig> }).subgroupMatrixConfigs ?? [];
  const [best] = [...configs]
    .filter((config) => config.componentType === "f16" && config.resultComponentType === "f32")
    .sort((x, y) => y.M * y.N * y.K - x.M * x.N * x.K);
  return best && { M: best.M, N: best.N, K: best.K, problem: undefined };
}

export function adapterInfo(choice: AdapterChoice, gpu: GPUDevice): AdapterInfo {
  const { info } = choice.adapter;
  const { description } = choice;
  return {
    description,
    vendor: info.vendor,
    architecture: info.architecture,
    cpu: CPU_ADAPTERS.test(`${description} ${info.vendor} ${info.architecture} ${info.device}`),
    // Some browsers offer subgroups and call their size 0: then nothing is to rely on it.
    subgroupSize: gpu.features.has("subgroups")
      ? [Math.max(1, info.subgroupMinSize), Math.max(1, info.subgroupMaxSize)]
      : [1, 1],
    workgroupBytes: gpu.limits.maxComputeWorkgroupStorageSize,
    workgroupInvocations: gpu.limits.maxComputeInvocationsPerWorkgroup,
    storageBuffers: gpu.limits.maxStorageBuffersPerShaderStage,
    subgroupMatrix: gpu.features.has(SUBGROUP_MATRIX) ? subgroupMatrixOf(info) : undefined,
    features: [...gpu.features].sort(),
    via: choice.via,
  };
}
