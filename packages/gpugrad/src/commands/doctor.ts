import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { basename, join } from "node:path";
import { destroy, init, softmax, tensor, type Device } from "@gpugrad/tensor";
import { adapterNames, findWrongKernels, keepLeftOut, type KernelCheck } from "@gpugrad/tensor/checks";
import { Command } from "commander";
import { installLavapipe, lavapipeCommands, osRelease } from "./doctor-fix.ts";
import { writeOutput } from "../output.ts";
import { cardsHere } from "../ranks/gpus.ts";
import { runCommand } from "../run-command.ts";

/** One thing that the doctor looked at. */
interface Check {
  name: string;
  ok: boolean;
  /** What was found. */
  found: string;
  /** What is lost while it is not ok. */
  cost?: string;
  /** The command, or the step, that fixes it. */
  fix?: string;
  /** Without it nothing works; the others make things slower or smaller. */
  required?: boolean;
}

interface Report {
  adapter: object | null;
  ok: boolean;
  checks: Check[];
}

interface Options {
  fix?: true;
  deep?: true;
  adapters?: true;
  json?: true;
}

/** `gpugrad doctor`: what this machine offers, what each missing thing costs, and the command that fixes it. */
export function doctor(args: string[]): Promise<number> {
  const command = new Command("gpugrad doctor")
    .description("Checks Node, drivers and adapter. Exit code 0 when gpugrad can compute here, 1 when it can't.")
    .option(
      "--fix",
      "install Mesa's lavapipe, the fast driver for the CPU, where there is no GPU (Debian, Ubuntu; as root); with --deep leave out what is wrong",
    )
    .option(
      "--deep",
      "compare every op with float64 at the sizes of BERT, and name the kernels that compute wrongly here",
    )
    .option(
      "--adapters",
      "list the adapters that WebGPU offers, and the GPUs of this machine by their places on the bus",
    )
    .option("--json", 'print {"adapter", "ok", "checks"} and nothing else')
    .allowExcessArguments(false);
  return runCommand<Options>(command, args, async (options) => {
    if (options.fix && !(await offers("hardware")) && !(await offers("lavapipe"))) {
      const installed = installLavapipe();
      // Another process, for this one may hold the old driver.
      const again = args.filter((arg) => arg !== "--fix");
      const { status } = spawnSync(process.execPath, [...process.execArgv, process.argv[1]!, "doctor", ...again], {
        stdio: "inherit",
      });
      return installed ? (status ?? 1) : 1;
    }
    const report = await examine(options);
    await writeOutput(options.json ? `${JSON.stringify(report)}\n` : show(report));
    return report.ok ? 0 : 1;
  });
}

/** Whether the search would find that kind of adapter. */
async function offers(kind: "hardware" | "lavapipe"): Promise<boolean> {
  const asked = process.env["GPUGRAD_ADAPTER"];
  process.env["GPUGRAD_ADAPTER"] = kind;
  try {
    await init();
    await destroy();
    return true;
  } catch {
    return false;
  } finally {
    if (asked === undefined) delete process.env["GPUGRAD_ADAPTER"];
    else process.env["GPUGRAD_ADAPTER"] = asked;
  }
}

async function examine({ deep, fix, adapters }: Options): Promise<Report> {
  const checks = [node(), system(), ...(process.platform === "linux" ? vulkan() : [])];
  let adapter: object | null = null;
  try {
    const device = await init();
    const {
      maxBufferSize,
      maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize,
    } = device.gpu.limits;
    const limits = {
      maxBufferSize,
      maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize,
    };
    adapter = { ...device.adapter, limits };
    checks.push(...(await adapterChecks(device)));
    if (deep) checks.push(await kernels(device, fix === true));
    if (adapters) checks.push(...(await adaptersHere()));
    checks.push(await mpi());
    await destroy();
  } catch (error) {
    checks.push({
      name: "adapter",
      ok: false,
      required: true,
      found: error instanceof Error ? error.message : String(error),
      cost: "nothing can be computed",
      fix: process.env["GPUGRAD_ADAPTER"]
        ? "unset GPUGRAD_ADAPTER, or name an adapter that is here"
        : lavapipeCommands(),
    });
  }
  return { adapter, ok: checks.every((check) => check.ok || !check.required), checks };
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  const check = { name: "node", ok, required: true, found: process.version };
  return ok
    ? check
    : { ...check, cost: "gpugrad needs 20.19 or newer", fix: "install a newer Node: https://nodejs.org" };
}

function system(): Check {
  const name = osRelease()["PRETTY_NAME"];
  const memory = `${(totalmem() / 2 ** 30).toFixed(1)} GiB`;
  const found = `${name ?? process.platform}, ${process.platform}-${process.arch}, ${cpus().length} cores, ${memory}`;
  return { name: "system", ok: true, found };
}

function vulkan(): Check[] {
  const loader = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"]
    .concat(process.env["LD_LIBRARY_PATH"]?.split(":") ?? [])
    .map((folder) => join(folder, "libvulkan.so.1"))
    .find((file) => existsSync(file));
  const drivers = vulkanDrivers();
  const nvidia = existsSync("/dev/nvidiactl");
  const checks: Check[] = [
    loader
      ? { name: "vulkan-loader", ok: true, found: loader }
      : {
          name: "vulkan-loader",
          ok: false,
          found: "no libvulkan.so.1",
          cost: "drivers on this system can't be used; SwiftShader brings its own loader, and is slow",
          fix: "apt-get install libvulkan1",
        },
    drivers.length > 0
      ? { name: "vulkan-drivers", ok: true, found: drivers.map((file) => basename(file, ".json")).join(", ") }
      : {
          name: "vulkan-drivers",
          ok: false,
          found: "none",
          cost: "only SwiftShader is left, about 5 times slower than lavapipe",
          fix: lavapipeCommands(),
        },
  ];
  if (nvidia && !drivers.some((file) => basename(file).includes("nvidia"))) {
    checks.push({
      name: "nvidia-vulkan",
      ok: false,
      found: "an NVIDIA GPU, but no nvidia_icd.json",
      cost: "the GPU can't be used",
      fix: "install the driver's Vulkan part (apt-get install libnvidia-gl-<driver version>); start a container with NVIDIA_DRIVER_CAPABILITIES=all",
    });
  }
  return checks;
}

/** The manifests of the Vulkan drivers that the loader would look at. */
function vulkanDrivers(): string[] {
  const chosen = process.env["VK_DRIVER_FILES"] ?? process.env["VK_ICD_FILENAMES"];
  if (chosen) return chosen.split(":").filter((file) => existsSync(file));
  return ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((file) => file.endsWith(".json"));
}

/** All adapters that WebGPU offers here, and the machine's GPUs, which it can't tell apart where they are alike. */
async function adaptersHere(): Promise<Check[]> {
  const [names, cards] = [await adapterNames(), cardsHere()];
  return [
    { name: "adapters", ok: names.length > 0, found: names.join("\n") || "none is listed" },
    {
      name: "gpus",
      ok: true,
      found: cards.map(({ bus, driver }) => `${bus} (${driver})`).join("\n") || "none on the bus of this machine",
    },
  ];
}

/** Whether several GPUs or machines can train together. */
async function mpi(): Promise<Check> {
  const name = "mpi";
  const cost = "training takes one GPU";
  try {
    const { findLibrary } = await import("@gpugrad/mpi");
    const { version, path } = findLibrary();
    return { name, ok: true, found: `${version} (${path})` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ERR_MODULE_NOT_FOUND"
      ? { name, ok: false, found: "the package isn't installed", cost, fix: "npm install @gpugrad/mpi" }
      : { name, ok: false, found: message.split("\n")[0]!, cost, fix: "apt-get install openmpi-bin libopenmpi3" };
  }
}

async function adapterChecks({ adapter, gpu }: Device): Promise<Check[]> {
  const swiftShader = /swiftshader/i.test(adapter.description);
  const speed: Check = {
    name: "speed",
    ok: !swiftShader,
    found: adapter.cpu ? "computes on the CPU; a GPU with a Vulkan driver is far faster" : "computes on a GPU",
  };
  if (swiftShader) Object.assign(speed, { cost: "about 5 times slower than lavapipe", fix: lavapipeCommands() });

  const values = await softmax(tensor([1, 2, 3])).data();
  const expected = [1, 2, 3].map((x) => Math.exp(x) / (Math.exp(1) + Math.exp(2) + Math.exp(3)));
  const right = expected.every((y, i) => Math.abs(y - Number(values[i])) < 1e-5);
  const computes: Check = {
    name: "computes",
    ok: right,
    required: true,
    found: `softmax([1, 2, 3]) = [${Array.from(values, (y) => Number(y).toFixed(4)).join(", ")}]`,
  };
  if (!right)
    Object.assign(computes, {
      cost: "this driver computes wrong results",
      fix: "update it, or set GPUGRAD_ADAPTER to another adapter",
    });

  const feature = (name: GPUFeatureName, found: string, cost: string): Check =>
    gpu.features.has(name) ? { name, ok: true, found } : { name, ok: false, found: "not offered", cost };
  const mib = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;
  const {
    maxStorageBufferBindingSize,
    maxBufferSize,
    maxStorageBuffersPerShaderStage,
    maxComputeWorkgroupStorageSize,
  } = gpu.limits;
  return [
    { name: "adapter", ok: true, required: true, found: `${adapter.description} (found as: ${adapter.via})` },
    speed,
    computes,
    feature("shader-f16", "half precision", "f16 tensors can be stored, but not computed with"),
    feature("subgroups", `${adapter.subgroupSize.join("–")} lanes`, "slower matmul and reductions"),
    matrixUnits(adapter),
    feature("timestamp-query", "kernels can be timed", "the profiler has no times per kernel"),
    {
      name: "limits",
      ok: true,
      found:
        `one tensor ${mib(maxStorageBufferBindingSize)}, one buffer ${mib(maxBufferSize)}, ` +
        `${maxStorageBuffersPerShaderStage} storage buffers, ${maxComputeWorkgroupStorageSize / 1024} KiB workgroup memory`,
    },
  ];
}

/** Whether the kernels that this adapter would choose compute what float64 says. What doesn't is left out from now on, if `fix`. */
async function kernels({ adapter }: Device, fix: boolean): Promise<Check> {
  const { checks, leaveOut, stillWrong } = await findWrongKernels();
  const wrong = checks.filter(({ problem }) => problem);
  const describe = ({ case: name, kernels, problem }: KernelCheck): string =>
    `${kernels.join(", ") || "the only kernel"} in ${name}: ${problem}`;
  const check = { name: "kernels", found: `${checks.length} cases, compared with float64` };
  if (stillWrong.length > 0) {
    return {
      ...check,
      ...{ ok: false, required: true, found: stillWrong.map(describe).join("\n") },
      ...{
        cost: "results are wrong, and no other kernel can be used instead",
        fix: "update the driver, or set GPUGRAD_ADAPTER to another adapter",
      },
    };
  }
  const before = adapter.leftOut ?? [];
  const changes = leaveOut.length !== before.length || leaveOut.some((name) => !before.includes(name));
  if (changes && fix) {
    const file = await keepLeftOut(leaveOut);
    return {
      ...check,
      ok: true,
      found: `${check.found}; left out from now on: ${leaveOut.join(", ") || "nothing"} (${file})`,
    };
  }
  if (wrong.length > 0 && changes) {
    const variable = `GPUGRAD_KERNELS="${leaveOut.map((name) => `-${name}`).join(" ")}"`;
    return {
      ...check,
      ...{ ok: false, found: wrong.map(describe).join("\n"), cost: "these kernels compute wrong results here" },
      fix: `gpugrad doctor --deep --fix leaves them out on this adapter; so does ${variable}`,
    };
  }
  return { ...check, ok: true, found: `${check.found}; left out: ${before.join(", ") || "nothing"}` };
}

/** Whether products of f16 go to matrix units. */
function matrixUnits({ cpu, subgroupMatrix }: Device["adapter"]): Check {
  const name = "subgroup-matrix";
  if (cpu) return { name, ok: true, found: "not needed on the CPU" };
  const cost = "mixed precision is no faster than f32";
  if (!subgroupMatrix) return { name, ok: false, found: "not offered", cost };
  const { M, N, K, problem } = subgroupMatrix;
  const found = `${M} × ${N} × ${K}, f16 with sums in f32`;
  return problem
    ? { name, ok: false, found: `${found}, but not as it should be: ${problem}`, cost, fix: "update the GPU's driver" }
    : { name, ok: true, found: `${found}; tried, and right` };
}

function show({ ok, checks }: Report): string {
  const width = Math.max(...checks.map((check) => check.name.length));
  const lines = checks.flatMap(({ name, ok, found, cost, fix, required }) => [
    `${ok ? "✓" : required ? "✗" : "–"} ${name.padEnd(width)}  ${found.replaceAll("\n", `\n${" ".repeat(width + 4)}`)}`,
    ...(cost ? [`${" ".repeat(width + 4)}cost: ${cost}`] : []),
    ...(fix ? [`${" ".repeat(width + 4)}fix:  ${fix}`] : []),
  ]);
  return [...lines, ok ? "gpugrad can compute here." : "gpugrad can't compute here.", ""].join("\n");
}
