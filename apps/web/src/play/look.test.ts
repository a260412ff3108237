import { noGrad } from "@gpugrad/autograd";
import { BertConfig, BertForSequenceClassification, bertTokenizer } from "@gpugrad/bert";
import { destroy, init, manualSeed, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { look, nearest, wordEmbeddings } from "./look.ts";

const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "is", "a", "joy", "bore", "##dom", "."];
const tokenizer = bertTokenizer(words, { model_max_length: 16 });
const maxLength = 16;
let model: BertForSequenceClassification;
beforeAll(async () => {
  await init();
  manualSeed(3);
  const sizes = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 24 };
  model = BertForSequenceClassification.fromConfig(
    new BertConfig({ ...sizes, vocab_size: words.length, max_position_embeddings: 16, initializer_range: 0.3 }),
  );
});
afterAll(destroy);

const margin = async (ids: number[]): Promise<number> => {
  const { logits } = noGrad(() => model.eval().forward({ input_ids: [ids] }));
  const [negative, positive] = await logits.data();
  return Number(positive) - Number(negative);
};

test("attributions add up to what the words change of the class' margin, and specials have none", async () => {
  const sentence = "The film is a boredom.";
  const found = await look(model, tokenizer, sentence, { maxLength });
  expect(found.tokens).toEqual(["[CLS]", "The", "film", "is", "a", "bore", "dom", ".", "[SEP]"]);
  expect([found.attributions[0], found.attributions.at(-1)]).toEqual([0, 0]);

  // A text whose words are nothing: their embeddings are zero, as that of a padding token made zero is.
  const ids = tokenizer.encode(sentence).input_ids;
  const { weight } = wordEmbeddings(model);
  const table = (await weight.data()).slice() as Float32Array;
  const whole = await margin(ids);
  weight.write(table.map((value, i) => (i < 16 ? 0 : value)));
  const nothing = await margin(ids.map((id) => (id === 2 || id === 3 ? id : 0)));
  weight.write(table);
  const sum = found.attributions.reduce((a, b) => a + b);
  expect(Math.abs(sum - (whole - nothing))).toBeLessThan(0.02 * Math.max(1, Math.abs(whole - nothing)));
  expect(found.scores[1]! - 1 / (1 + Math.exp(-whole))).toBeCloseTo(0, 5);
});

test("a look leaves the model as it was: mode, parameters that learn, no gradients, nothing on the device", async () => {
  model.train();
  const before = model.parameters().map(({ requiresGrad, grad }) => [requiresGrad, grad]);
  const { module } = wordEmbeddings(model);
  const found = await look(model, tokenizer, "A joy.", { maxLength });
  expect(model.parameters().map(({ requiresGrad, grad }) => [requiresGrad, grad])).toEqual(before);
  expect([model.training, wordEmbeddings(model).module]).toEqual([true, module]);
  const T = found.tokens.length;
  expect([found.layers, found.heads, found.attentions.length]).toEqual([2, 2, 4 * T * T]);
  for (let row = 0; row < 4 * T; row++) {
    const weights = Array.from(found.attentions).slice(row * T, (row + 1) * T);
    expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
  }
});

test("the rows nearest to a sentence by the first token's vector, most alike first, without itself", async () => {
  const rows = ["A joy.", "The film is a joy.", "A bore.", "The film is a bore."].map((text) => ({ text, label: "" }));
  const found = await nearest(model, tokenizer, "A joy.", rows, { maxLength, count: 2 });
  const vectorOf = async (text: string): Promise<number[]> => {
    const { input_ids } = tokenizer.encode(text);
    const read = scope(() => {
      const { hidden_states } = noGrad(() =>
        model.eval().forward({ input_ids: [input_ids] }, { outputHiddenStates: true }),
      ) as { hidden_states: Tensor[] };
      return hidden_states.at(-1)!.data();
    });
    return Array.from(await read, Number).slice(0, 16);
  };
  const own = await vectorOf("A joy.");
  const cosines = await Promise.all(
    rows.slice(1).map(async ({ text }) => {
      const other = await vectorOf(text);
      const dot = own.reduce((sum, value, i) => sum + value * other[i]!, 0);
      return { text, similarity: dot / Math.hypot(...own) / Math.hypot(...other) };
    }),
  );
  cosines.sort((a, b) => b.similarity - a.similarity);
  expect(found.map(({ text }) => text)).toEqual(cosines.slice(0, 2).map(({ text }) => text));
  expect(found[0]!.similarity).toBeCloseTo(cosines[0]!.similarity, 5);
});
