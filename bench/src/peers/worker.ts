// A process with one peer in it: `worker.ts MODULE BACKEND`, spoken to by messages. Each case is checked before it is first timed.
import { create, globals } from "webgpu";
import { throttleDawnPolls } from "../../../packages/tensor/src/runtime/dawn-polls.ts";
import { peerCases } from "./cases.ts";
import type { Answer, PeerModule, Prepared, Request } from "./peer.ts";

const BUDGET_MS = 1000;
const MIN_SAMPLES = 3;

const [module, backend] = process.argv.slice(2) as [string, string];
if (backend === "webgpu" && module.endsWith(".mjs")) {
  // A browser's `navigator.gpu`, with the same patience in polling that our own runtime has.
  process.env["XDG_RUNTIME_DIR"] ??= "/tmp";
  Object.assign(globalThis, globals);
  throttleDawnPolls();
  const gpu = create(["disable-dawn-features=timestamp_quantization"]);
  const navigator = { gpu, userAgent: "node", hardwareConcurrency: 2, platform: "linux", language: "en" };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true, writable: true });
}
const folder = module.endsWith(".mjs") ? new URL("../../peers/", import.meta.url) : new URL("./", import.meta.url);
const { open } = (await import(new URL(module, folder).href)) as PeerModule;
const peer = await open(backend);
const ready = new Map<string, Prepared>();

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function measure(name: string): Promise<Answer> {
  const { kind, inputs: make, check } = peerCases.find((c) => c.name === name)!;
  const prepare = peer.prepare[kind];
  if (!prepare) return { missing: true };
  let prepared = ready.get(name);
  let firstMs: number | undefined;
  if (!prepared) {
    const inputs = make();
    prepared = await prepare(inputs);
    firstMs = await timed(prepared.run);
    check(await prepared.result(), inputs);
    ready.set(name, prepared);
  }
  await prepared.run();
  const samples: number[] = [];
  const start = performance.now();
  while (samples.length < MIN_SAMPLES || performance.now() - start < BUDGET_MS) samples.push(await timed(prepared.run));
  return { samples, ...(firstMs !== undefined && { firstMs }) };
}

process.on("message", ({ case: name }: Request) => {
  void measure(name)
    .catch((error: unknown): Answer => ({ error: error instanceof Error ? error.message : String(error) }))
    .then((answer) => process.send!(answer));
});
process.on("disconnect", () => process.exit()); // whoever asks is gone
process.send!({ version: peer.version });
