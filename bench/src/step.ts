// A training step (random weights, dropout, clipping, AdamW) beside PyTorch's, in turns: replayed as the Trainer does.
//
//   node scripts/run.mjs bench/src/step.ts [--model minilm] [--batch-size 16] [--seq-length 128] [--rounds 5] [--python /path/to/python3]
//
// Wall-clock milliseconds, and those of processor time, which a busy machine disturbs less: the least of the rounds.
import "@gpugrad/autograd";
import { destroy, device, init, record } from "@gpugrad/tensor";
import { parseArgs } from "node:util";
import {
  classifierOf,
  configOfSize,
  sizeNames,
  trainingStep,
} from "../../packages/gpugrad/src/commands/training-step.ts";
import { least, openPython, timed, type Times } from "./peers/python.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "minilm" },
    "batch-size": { type: "string", default: "16" },
    "seq-length": { type: "string", default: "128" },
    rounds: { type: "string", default: "5" },
    python: { type: "string", default: process.env["GPUGRAD_PYTHON"] ?? "python3" },
  },
});
const [batchSize, seqLength, rounds] = [values["batch-size"], values["seq-length"], values.rounds].map(Number) as [
  number,
  number,
  number,
];
const config = configOfSize(values.model, seqLength);
if (!config) throw new Error(`step: there is no size ${values.model}; there are ${sizeNames}.`);
const { hidden_size, num_hidden_layers, num_attention_heads, intermediate_size } = config;

await init();
const step = trainingStep(classifierOf(config), { batchSize, seqLength });
step(); // compiles
const { recording } = record(step);
const sizes = [hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, batchSize, seqLength];
const python = await openPython(values.python, "bench/peers/step.py", ...sizes.map(String));
const runs: Record<string, () => Promise<Times>> = {
  gpugrad: () => timed(() => (recording.replay(), device().finish())),
  ...Object.fromEntries(python.names.map((name) => [name, () => python.run(name)])),
};
const best = new Map<string, Times>();
for (let round = 0; round < rounds; round++) {
  for (const [name, run] of Object.entries(runs))
    best.set(name, least(await run(), best.get(name) ?? [Infinity, Infinity]));
}
console.log(
  `${values.model}, ${batchSize} × ${seqLength} tokens, ${device().adapter.description}; least of ${rounds} rounds\n`,
);
console.log("| | ms | processor time, ms |\n| --- | ---: | ---: |");
for (const [name, times] of best) console.log(`| ${name} | ${times.map((ms) => ms.toFixed(0)).join(" | ")} |`);
const [ours, ...others] = [...best];
for (const [name, times] of others) {
  console.log(
    `\ngpugrad / ${name}: ${times.map((ms, i) => (ours![1][i]! / ms).toFixed(2)).join(", by processor time ")}`,
  );
}
python.end();
recording.dispose();
await destroy();
