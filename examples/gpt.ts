// A small GPT learns a text letter by letter, and continues it.
import "@gpugrad/autograd";
import { filterLogits } from "@gpugrad/nn";
import { destroy, Generator, init, manualSeed, multinomial, scope, softmax } from "@gpugrad/tensor";
import { AdamW, clipFactor } from "@gpugrad/train";
import { generate, nextTokenLoss } from "./decoders/decoder.ts";
import { GPT2LMHeadModel } from "./decoders/gpt2.ts";

const TEXT = `the tide came in and the tide went out. the boat lay still and the boat set sail.
the wind blew cold and the wind blew warm. the gull flew low and the gull flew high.
the tide went out and the boat lay still. the wind blew warm and the gull flew high.
`.repeat(2);
const letters = [...new Set(TEXT)].sort();
const tokens = Array.from(TEXT, (letter) => letters.indexOf(letter));
const LENGTH = 64;

await init();
manualSeed(1);
const random = new Generator(2);
const model = new GPT2LMHeadModel({
  vocab_size: letters.length,
  n_positions: LENGTH,
  n_embd: 48,
  n_head: 4,
  n_layer: 2,
}).train();
const optimizer = new AdamW(model.namedParameters(), { lr: 3e-3 });
for (let step = 1; step <= 160; step++) {
  const loss = await scope(async () => {
    const starts = Array.from(random.words(12), (word) => word % (tokens.length - LENGTH));
    const rows = starts.map((start) => tokens.slice(start, start + LENGTH));
    const mean = nextTokenLoss(model.forward({ input_ids: rows }).logits, rows);
    mean.backward();
    optimizer.step(clipFactor(optimizer.parameters, 1));
    optimizer.zeroGrad();
    return step % 40 === 0 ? mean.item() : 0;
  });
  if (step % 40 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}
model.eval();
const prompt = Array.from("the tide ", (letter) => letters.indexOf(letter));
const [continued] = await generate(
  model,
  { input_ids: [prompt] },
  {
    most: 50,
    choose: async (logits) =>
      Array.from(await multinomial(softmax(filterLogits(logits, { temperature: 0.5 })), 1).data()),
  },
);
console.log(`the tide ${continued!.map((token) => letters[token]).join("")}`);
optimizer.dispose();
model.dispose();
await destroy();
