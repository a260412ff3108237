import { tmpdir } from "node:os";
import { create, globals } from "webgpu";
import { throttleDawnPolls } from "./dawn-polls.ts";
import type { AdapterChoice, AdapterSource } from "./platform.ts";
import { swiftShaderFolder, useSwiftShader } from "./swiftshader.ts";

/** An adapter, its name, and the `gpu` object that must outlive it. */
interface Found {
  gpu: GPU;
  adapter: GPUAdapter;
  name: string;
}

const toggles = [
  // Subgroup matrices count as unsafe; shader-f16 is hidden on NVIDIA drivers before 615.71 without the second.
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia",
  // Timestamps otherwise come in steps of 65 µs.
  "disable-dawn-features=timestamp_quantization",
];

const searchOrder = ["hardware", "lavapipe", "swiftshader"] as const;
type Kind = (typeof searchOrder)[number];

/**
 * Finds an adapter: the one that the variable `GPUGRAD_ADAPTER` asks for (`hardware`, `lavapipe`, `swiftshader` or a part
 * of an adapter's name); without it a GPU, else Mesa's lavapipe, else SwiftShader, which is fetched from npm into the
 * cache folder. Nothing on the system is changed.
 *
 * @throws if there is none, with all that was tried and the commands that mend it.
 */
export async function requestAdapter(): Promise<AdapterChoice> {
  Object.assign(globalThis, globals); // GPUBufferUsage and its like
  process.env["XDG_RUNTIME_DIR"] ??= tmpdir(); // Mesa complains on stderr without it
  throttleDawnPolls();

  const wanted = process.env["GPUGRAD_ADAPTER"];
  const tried: string[] = [];
  let names = await adapterNames();
  for (const step of wanted ? [wanted] : searchOrder) {
    try {
      let found = await find(step, names);
      if (!found && step === "swiftshader") {
        if (!wanted) process.stderr.write(slow);
        useSwiftShader(await swiftShaderFolder());
        names = await adapterNames();
        found = await find(step, names);
      }
      if (found) return choose(found, wanted ? "env" : kindOf(found), tried);
      tried.push(
        `${step}: ${names.length > 0 ? `not among the adapters here: ${names.join(" · ")}` : "Dawn sees no adapter"}`,
      );
    } catch (error) {
      tried.push(`${step}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(
    [
      `requestAdapter: no WebGPU adapter${wanted ? ` for GPUGRAD_ADAPTER=${wanted}` : ""}. Tried:`,
      ...tried.map((line) => `  - ${line}`),
      "`gpugrad doctor` looks closer; `gpugrad doctor --fix` installs lavapipe, Mesa's driver for the CPU (Debian and Ubuntu, as root).",
      "A GPU needs its vendor's Vulkan driver, and the Vulkan loader (`apt-get install libvulkan1`).",
    ].join("\n"),
  );
}

const slow =
  "gpugrad: no GPU and no lavapipe here, so SwiftShader computes on the CPU (fetched from npm once, 67 MB). " +
  "lavapipe is about 5 times faster: `gpugrad doctor --fix` installs it.\n";

function choose({ gpu, adapter, name }: Found, via: AdapterSource, tried: string[]): AdapterChoice {
  held.add(gpu);
  const description = adapter.info.description ? `${name}, ${adapter.info.description}` : name;
  return { gpu, adapter, via, description, tried, release: () => void held.delete(gpu) };
}

/** The gpu objects in use. Once one is collected, calls on its devices crash the process. */
const held = ((globalThis as { gpugradHeld?: Set<GPU> }).gpugradHeld ??= new Set());

/** The adapter of that kind, or the one with `wanted` in its name: Dawn's favourite if it will do, which is the fastest. */
async function find(wanted: string, names: string[]): Promise<Found | undefined> {
  const isKind = (searchOrder as readonly string[]).includes(wanted);
  for (const name of [undefined, ...names]) {
    const found = await open(name, names);
    if (!found) continue;
    if (isKind ? kindOf(found) === wanted : found.name.toLowerCase().includes(wanted.toLowerCase())) return found;
  }
  return undefined;
}

function kindOf({ adapter, name }: Found): Kind {
  if (/swiftshader/i.test(name)) return "swiftshader";
  return adapter.info.isFallbackAdapter ? "lavapipe" : "hardware"; // other CPU drivers count as lavapipe
}

async function open(name: string | undefined, names: string[]): Promise<Found | undefined> {
  if (names.length === 0) return undefined;
  const gpu = create(name === undefined ? toggles : [...toggles, `adapter=${name}`]);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return undefined;
  // `info.device` is the name in small letters, with a dash for all that is neither letter nor digit.
  const slug = (text: string) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return {
    gpu,
    adapter,
    name: name ?? names.find((n) => slug(n) === slug(adapter.info.device)) ?? adapter.info.device,
  };
}

/** The names of all adapters. Dawn's binding lists them only when it complains that none has the name asked for. */
async function adapterNames(): Promise<string[]> {
  try {
    await create(["adapter=(any)"]).requestAdapter();
    return [];
  } catch (error) {
    return [...String(error).matchAll(/ name: '(.*)'/g)].map((match) => match[1] ?? "");
  }
}
