// Continues token ids by GPT-2 or Llama, opened from a folder of Hugging Face:
// node scripts/run.mjs examples/generate.ts FOLDER "3 17 9" [--tokens 20] [--temperature 0.8] [--top-k 40] [--top-p 0.95] [--seed 1]
import { parseArgs } from "node:util";
import { filterLogits } from "@gpugrad/nn";
import { destroy, init, manualSeed, multinomial, softmax } from "@gpugrad/tensor";
import { generate, type Choose } from "./decoders/decoder.ts";
import { openDecoder } from "./decoders/open.ts";

const text = { type: "string" } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { tokens: text, temperature: text, "top-k": text, "top-p": text, seed: text },
});
const [folder, prompt] = positionals;
if (folder === undefined || prompt === undefined) throw new Error('generate: give a folder and ids, such as "3 17 9".');
const number = (value: string | undefined): number | undefined => (value === undefined ? undefined : Number(value));

await init();
manualSeed(number(values.seed) ?? 0);
const model = await openDecoder(folder);
const options = {
  temperature: number(values.temperature),
  topK: number(values["top-k"]),
  topP: number(values["top-p"]),
};
const choose: Choose = async (logits) =>
  Array.from(await multinomial(softmax(filterLogits(logits, options)), 1).data());
const [tokens] = await generate(
  model,
  { input_ids: [prompt.split(" ").map(Number)] },
  { most: number(values.tokens) ?? 20, choose },
);
console.log(tokens!.join(" "));
model.dispose();
await destroy();
