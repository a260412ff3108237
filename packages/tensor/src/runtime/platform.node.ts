import { AsyncLocalStorage } from "node:async_hooks";
import { tmpdir } from "node:os";
import type * as webgpu from "webgpu";
import { throttleDawnPolls } from "./dawn-polls.ts";
import * as browser from "./platform.browser.ts";
import type { AdapterChoice, AdapterSource, ContextVariable } from "./platform.ts";
import { swiftShaderFolder, useSwiftShader } from "./swiftshader.ts";

export { keepPassed, readLeftOut, readPassed, readTuning, writeLeftOut } from "./tuning-file.ts";

/** A variable of the environment. */
export const environment = (name: string): string | undefined => process.env[name];

/** Each asynchronous activity has its own value. */
export const contextVariable = <T>(): ContextVariable<T> => new AsyncLocalStorage<T>();

/** An adapter, with the `gpu` object that must outlive it. */
interface Found {
  gpu: GPU;
  adapter: GPUAdapter;
}

/** Dawn polls by itself while something is pending: see dawn-polls.ts. */
export const hasten = (_gpu: GPUDevice) => (): void => undefined;

const toggles = [
  // Subgroup matrices count as unsafe; shader-f16 is hidden on NVIDIA drivers before 615.71 without the second.
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
  // Timestamps otherwise come in steps of 65 µs.
  "disable-dawn-features=timestamp_quantization",
];

/** The package `webgpu`, which is Dawn for Node: an optional peer dependency, since browsers and Deno have WebGPU of their own. */
const dawn = async (): Promise<typeof webgpu | undefined> => {
  try {
    return await import("webgpu");
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    return undefined;
  }
};

const searchOrder = ["hardware", "lavapipe", "swiftshader"] as const;

/**
 * Finds an adapter: the one that the variable `GPUGRAD_ADAPTER` asks for (`hardware`, `lavapipe`, `swiftshader` or a part
 * of an adapter's name); without it a GPU, else Mesa's lavapipe, else SwiftShader, which is fetched from npm into the
 * cache folder. Nothing on the system is changed.
 *
 * Where the package `webgpu` is not installed, but the runtime has WebGPU of its own, as Deno: that one's adapter.
 *
 * @throws if there is none, with all that was tried and the commands that fix it.
 */
export async function requestAdapter(): Promise<AdapterChoice> {
  const installed = await dawn();
  if (!installed) {
    if ((globalThis.navigator as Partial<Navigator> | undefined)?.gpu) return browser.requestAdapter();
    throw new Error(
      "requestAdapter: Node has no WebGPU of its own, and the package webgpu (Dawn) is not installed. Run: npm install webgpu",
    );
  }
  Object.assign(globalThis, installed.globals); // GPUBufferUsage and its like
  process.env["XDG_RUNTIME_DIR"] ??= tmpdir(); // Mesa complains on stderr without it
  throttleDawnPolls();

  const wanted = process.env["GPUGRAD_ADAPTER"]?.toLowerCase();
  const tried: string[] = [];
  const problem = loaderProblem();
  let favourite = problem ? undefined : await open();
  for (const step of wanted ? [wanted] : searchOrder) {
    try {
      let found = await find(step, favourite);
      if (!found && step === "swiftshader") {
        if (!wanted) process.stderr.write(slow(problem));
        useSwiftShader(await swiftShaderFolder());
        favourite = await open();
        found = await find(step, favourite);
      }
      if (found) return choose(found, wanted ? "env" : kindOf(found), tried);
      tried.push(
        `${step}: ${favourite ? "none of the adapters here is one" : (problem ?? "Dawn sees no adapter at all")}`,
      );
    } catch (error) {
      tried.push(`${step}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(
    [
      `requestAdapter: no WebGPU adapter${wanted ? ` for GPUGRAD_ADAPTER=${wanted}` : ""}. Tried:`,
      ...tried.map((line) => `  - ${line}`),
      ...(favourite ? [`Adapters here: ${(await adapterNames()).join(" · ")}.`] : []),
      "`pnpm gpugrad doctor` looks closer; `pnpm gpugrad doctor --fix` installs lavapipe, Mesa's driver for the CPU (Debian and Ubuntu, as root).",
      "A GPU needs its vendor's Vulkan driver, and the Vulkan loader (`apt-get install libvulkan1`).",
    ].join("\n"),
  );
}

const slow = (problem = "no GPU here and no lavapipe of Mesa 25 or newer"): string =>
  `gpugrad: ${problem}, so SwiftShader computes on the CPU (fetched from npm once, 67 MB). ` +
  "lavapipe is about 5 times faster: `pnpm gpugrad doctor --fix` installs it.\n";

/**
 * Why no adapter but SwiftShader, which brings its own loader, can be found: on Linux Dawn loads the Vulkan loader by this name, and
 * complains on stderr at each try. Node refuses the library for not being an addon, but says something else where there is none.
 */
function loaderProblem(): string | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    process.dlopen({ exports: {} }, "libvulkan.so.1");
  } catch (error) {
    const missing = /No such file|file too short|ELF/.exec(String(error));
    if (missing) return "the Vulkan loader, libvulkan.so.1, can't be loaded (`apt-get install libvulkan1`)";
  }
  return undefined;
}

function choose({ gpu, adapter }: Found, via: AdapterSource, tried: string[]): AdapterChoice {
  held.add(gpu);
  const { device, description, isFallbackAdapter } = adapter.info; // CPU drivers name themselves in `description`
  return {
    gpu,
    adapter,
    via,
    description: isFallbackAdapter ? description : `${device} (${description})`,
    tried,
    release: () => void held.delete(gpu),
  };
}

/** The gpu objects in use. Once one is collected, calls on its devices crash the process. */
const held = ((globalThis as { gpugradHeld?: Set<GPU> }).gpugradHeld ??= new Set());

/** The adapter of that kind, or with `wanted` in its name: Dawn's favourite (a GPU if there is one) before all others. */
async function find(wanted: string, favourite: Found | undefined): Promise<Found | undefined> {
  if (!favourite || matches(wanted, favourite)) return favourite;
  if (wanted === "hardware") return undefined;
  for (const name of await adapterNames()) {
    const found = await open(`adapter=${name}`);
    if (found && matches(wanted, found)) return found;
  }
  return undefined;
}

function matches(wanted: string, found: Found): boolean {
  if ((searchOrder as readonly string[]).includes(wanted)) return kindOf(found) === wanted;
  // Dawn spells names in small letters, with dashes: nvidia-h100-80gb-hbm3.
  const slug = (text: string) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const { vendor, architecture, device, description } = found.adapter.info;
  return slug([vendor, architecture, device, description].join(" ")).includes(slug(wanted));
}

function kindOf({ adapter: { info } }: Found): (typeof searchOrder)[number] {
  if (info.architecture === "swiftshader") return "swiftshader";
  return info.isFallbackAdapter ? "lavapipe" : "hardware"; // other CPU drivers count as lavapipe
}

async function open(...options: string[]): Promise<Found | undefined> {
  const { create } = await import("webgpu");
  const gpu = create([...toggles, ...options]);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  return adapter ? { gpu, adapter } : undefined;
}

/** The names of all adapters. Dawn's binding lists them only when it complains that none has the name asked for. */
export async function adapterNames(): Promise<string[]> {
  try {
    await open("adapter=(any)");
    return [];
  } catch (error) {
    return [...String(error).matchAll(/ name: '(.*)'/g)].map((match) => match[1] ?? "");
  }
}
