// The environment in which Dawn sees an AMD GPU that is not there: Mesa's RADV, configured to pretend a GPU, and the layer null-gpu.c.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../packages/tensor/src/runtime/swiftshader.ts";

/** GPUs whose machine code is understood here, by Mesa's names. */
export const gpus = { NAVI31: "RDNA 3", NAVI21: "RDNA 2", VEGA10: "GCN 5" } as const;
export type Gpu = keyof typeof gpus;

/** Lanes in a subgroup; GCN has 64 only. */
export type SubgroupSize = 32 | 64;

/** This machine can't do it; the message says what to install. */
export class Unavailable extends Error {}

/** Environment variables for a process that is to see `gpu`. @throws Unavailable */
export function pretend(gpu: Gpu, subgroupSize: SubgroupSize): NodeJS.ProcessEnv {
  const driver = findDriver();
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    VK_DRIVER_FILES: driver,
    VK_ICD_FILENAMES: driver, // the same, for loaders before 1.3.207
    VK_LAYER_PATH: layerFolder(),
    VK_INSTANCE_LAYERS: "VK_LAYER_NULL_GPU",
    RADV_FORCE_FAMILY: gpu,
    RADV_DEBUG: "nocache,shaderstats,asm,cs", // of compute shaders, what became of them, on stderr
    MESA_SHADER_CACHE_DISABLE: "true",
    GPUGRAD_ADAPTER: "hardware",
  };
  if (subgroupSize === 32) env["RADV_PERFTEST"] = "cswave32"; // 64 is RADV's choice for compute
  return env;
}

const needed =
  "xray compiles with Mesa's RADV, the Vulkan driver for AMD GPUs, 25 or newer, and a small layer in C. On Debian and Ubuntu: " +
  "`apt-get install mesa-vulkan-drivers gcc libc6-dev` (on Debian 12 Mesa from backports: `-t bookworm-backports`). No GPU is needed.";

function findDriver(): string {
  if (process.platform !== "linux") throw new Unavailable(`xray: this is ${process.platform}, not Linux. ${needed}`);
  for (const folder of ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"]) {
    const manifest = existsSync(folder) && readdirSync(folder).find((name) => /^radeon_icd.*\.json$/.test(name));
    if (manifest) return join(folder, manifest);
  }
  throw new Unavailable(`xray: there is no RADV driver here. ${needed}`);
}

/** The folder with the layer and its manifest, built the first time. */
function layerFolder(): string {
  const source = fileURLToPath(new URL("null-gpu.c", import.meta.url));
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 12);
  const folder = join(cacheFolder(), `xray-${hash}`);
  if (existsSync(folder)) return folder;

  // Built aside, then renamed: a folder by the final name is always whole.
  mkdirSync(cacheFolder(), { recursive: true });
  const aside = mkdtempSync(`${folder}.`);
  try {
    const flags = ["-shared", "-fPIC", "-O1", "-fvisibility=hidden", "-o", join(aside, "null-gpu.so"), source];
    const compilers = [process.env["CC"], "cc", "gcc", "clang"].filter((name): name is string => !!name);
    const built = compilers.map((name) => spawnSync(name, flags, { encoding: "utf8" })).find((run) => !run.error);
    if (!built) throw new Unavailable(`xray: there is no C compiler here (tried ${compilers.join(", ")}). ${needed}`);
    if (built.status !== 0) throw new Unavailable(`xray: null-gpu.c does not compile: ${built.stderr}\n${needed}`);
    writeFileSync(join(aside, "null-gpu.json"), JSON.stringify(manifest, null, 2));
    renameSync(aside, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // else another process was faster, and its folder will do
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return folder;
}

/** What the Vulkan loader reads of a layer. */
const manifest = {
  file_format_version: "1.0.0",
  layer: {
    name: "VK_LAYER_NULL_GPU",
    type: "GLOBAL",
    library_path: "./null-gpu.so",
    api_version: "1.3.0",
    implementation_version: "1",
    description: "Compile for a GPU that is not there",
    functions: { vkGetInstanceProcAddr: "null_gpu_instance_proc", vkGetDeviceProcAddr: "null_gpu_device_proc" },
  },
};
