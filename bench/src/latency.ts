// One sentence at a time through BERT-base (random weights), in f32, f16 and 8 bits, beside PyTorch and ONNX Runtime in turns.
//
//   node scripts/run.mjs bench/src/latency.ts [--tokens 16,32,64,128] [--rounds 9] [--python /path/to/python3]
//
// Wall-clock milliseconds, and those of processor time, which a busy machine disturbs less: the least of the rounds.
import { noGrad } from "@gpugrad/autograd";
import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { keepInFewerBits } from "@gpugrad/nn";
import { destroy, device, init, manualSeed, memory, scope } from "@gpugrad/tensor";
import { parseArgs } from "node:util";
import { least, openPython, timed, type Times } from "./peers/python.ts";

/** Runs one sentence of so many tokens. */
type Run = (tokens: number) => Promise<Times>;

const { values } = parseArgs({
  options: {
    tokens: { type: "string", default: "16,32,64,128" },
    rounds: { type: "string", default: "9" },
    python: { type: "string" },
  },
});
const lengths = values.tokens.split(",").map(Number);

function ours(kind: "f32" | "f16" | "int8"): Run {
  const before = memory().bytes;
  manualSeed(0);
  const model = BertForSequenceClassification.fromConfig(new BertConfig()).eval();
  if (kind !== "f32") keepInFewerBits(model, kind);
  console.log(`gpugrad ${kind}: ${Math.round((memory().bytes - before) / 1e6)} MB of weights`);
  return (tokens) => {
    const data = Int32Array.from({ length: tokens }, (_, i) => (i * 7919) % 30000);
    return timed(() => {
      const { read } = scope(() => ({
        read: noGrad(() => model.forward({ input_ids: { data, shape: [1, tokens] } }).logits).data(),
      }));
      return read;
    });
  };
}

await init();
const others = values.python === undefined ? undefined : await openPython(values.python, "bench/peers/latency.py");
const theirs = others?.names.map((name) => [name, (tokens: number) => others.run(name, tokens)] as const) ?? [];
const runs: Record<string, Run> = {
  ...{ f32: ours("f32"), f16: ours("f16"), int8: ours("int8") },
  ...Object.fromEntries(theirs),
};
console.log(
  `${device().adapter.description}; least of ${values.rounds} rounds, ms of wall clock (and of processor time)\n`,
);
console.log(`| tokens | ${Object.keys(runs).join(" | ")} |\n| ---: |${" ---: |".repeat(Object.keys(runs).length)}`);
for (const tokens of lengths) {
  const best = new Map<string, Times>();
  for (const run of Object.values(runs)) await run(tokens); // compiles
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, run] of Object.entries(runs)) {
      best.set(name, least(await run(tokens), best.get(name) ?? [Infinity, Infinity]));
    }
  }
  const cells = [...best.values()].map(([wall, cpu]) => `${wall.toFixed(0)} (${cpu.toFixed(0)})`);
  console.log(`| ${tokens} | ${cells.join(" | ")} |`);
}
others?.end();
await destroy();
