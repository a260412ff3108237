// Run by xray.ts under a pretended GPU: compiles the variants in the file given, one after the other. Before each, a line on stderr says
// which it is; what the driver says of it follows there.
import { device, init, kernel } from "@gpugrad/tensor";
import { readFileSync, writeSync } from "node:fs";
import { trials } from "../../packages/tensor/src/runtime/init.ts";
import { Pipelines } from "../../packages/tensor/src/runtime/pipelines.ts";
import type { Variant } from "./variants.ts";

delete trials.resident;
delete trials.subgroupMatrix; // it would fail: nothing is computed here
await init();
const { adapter, gpu, queue } = device();
const variants = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Variant[];
for (const [i, { file, code, overrides }] of variants.entries()) {
  const pipelines = new Pipelines(gpu, queue.params);
  writeSync(2, `\n@@variant ${i}\n`);
  try {
    pipelines.get(kernel(file, code, adapter.storageBuffers), overrides);
    await pipelines.settled();
  } catch (error) {
    writeSync(2, `\n@@failure ${JSON.stringify((error as Error).message)}\n`);
  }
}
writeSync(2, "\n@@end\n");
process.exit();
