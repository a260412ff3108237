// Run by xray.ts under a pretended GPU: calls every op and everything that `pnpm bench` times, and writes to the file given the
// kernels that were asked for, each at its tunings. Nothing is compiled yet, and nothing dispatched.
import { device, init, scope, type AdapterInfo } from "@gpugrad/tensor";
import { writeFileSync } from "node:fs";
import { encoderCases } from "../../bench/src/cases/encoder.ts";
import { loadRooms } from "../../bench/src/cases/rooms.ts";
import { trials } from "../../packages/tensor/src/runtime/init.ts";
import type { BenchCase } from "../../packages/tensor/src/testing/bench-op.ts";
import { rooms } from "./calls.ts";
import { variantOf, type Variant } from "./variants.ts";

/** What a search for variants gives. */
export interface Collection {
  variants: Variant[];
  /** Calls that threw. */
  problems: string[];
}

delete trials.resident;
delete trials.subgroupMatrix; // it would fail: nothing is computed here
const { adapter, gpu, pipelines, queue } = await init();
const variants = new Map<string, Variant>();
const problems = new Set<string>();

const seen = new Set<string>();
const noPipeline = { workgroupSize: 1 } as ReturnType<typeof pipelines.get>;
pipelines.get = (kernel, overrides) => {
  const key = `${kernel.code} ${JSON.stringify(overrides)}`;
  if (seen.has(key) || kernel.file.endsWith(".cpu.wgsl")) return noPipeline;
  seen.add(key);
  const variant = variantOf(kernel, overrides);
  variants.set(`${kernel.code} ${variant.tuning}`, variant); // the same whether a default is written or not
  return noPipeline;
};
queue.dispatch = () => undefined;
queue.encode = () => undefined;
gpu.createTexture = () => ({ createView: () => ({}) }) as GPUTexture; // of rungs for CPUs, which the ladders have as well

function attempt(what: string, work: () => unknown): void {
  try {
    scope(() => void work());
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!message.includes("this adapter offers no")) problems.add(`${what}: ${message}`); // a rung for other GPUs
  }
}

// The choice of kernels goes by what the adapter offers, so it is made for other GPUs as well: NVIDIA's and Apple's subgroups have
// 32 lanes, and some devices have neither subgroups nor 16-bit floats.
const asItIs = { ...adapter };
const views: Partial<AdapterInfo>[] = [
  {},
  { subgroupSize: [32, 32], subgroupMatrix: undefined }, // its matrices are not those of this adapter
  { subgroupSize: [1, 1], subgroupMatrix: undefined, features: ["timestamp-query"] },
];
for (const view of views) {
  Object.assign(adapter, asItIs, view);
  for (const [room, calls] of Object.entries(rooms)) attempt(room, calls);
}
Object.assign(adapter, asItIs);
// The rungs of the ladders, of each in its smallest case: inputs take long to make.
const ladders = new Map<string, BenchCase>();
for (const bench of [...(await loadRooms()).values()].flat()) {
  const names = (bench.rungs ?? []).map(({ name }) => name).join();
  if (bench.bytes < (ladders.get(names)?.bytes ?? Infinity)) ladders.set(names, bench);
}
for (const bench of [...ladders.values(), ...encoderCases]) {
  for (const rung of [undefined, ...(bench.rungs ?? []).keys()]) {
    attempt(bench.name, () => bench.prepare(1, rung).run(0));
  }
}

device().throwIfFailed();
const collection: Collection = { variants: [...variants.values()], problems: [...problems] };
writeFileSync(process.argv[2]!, JSON.stringify(collection));
process.exit(); // there is nothing to wait for: no GPU is at work
