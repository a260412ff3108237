import { detectAnomaly, type Anomaly } from "@gpugrad/autograd";
import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init, manualSeed, undisposed, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** What is found in a step of a small BERT that `spoil` has changed. */
async function found(spoil: (model: BertForSequenceClassification) => void): Promise<Anomaly | undefined> {
  const before = undisposed();
  manualSeed(1);
  const model = BertForSequenceClassification.fromConfig(
    new BertConfig({
      vocab_size: 20,
      hidden_size: 8,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      intermediate_size: 16,
      max_position_embeddings: 8,
      hidden_act: "relu2",
    }),
  );
  spoil(model);
  const inputs = { input_ids: [[1, 2, 3, 4]], labels: [1] };
  const { firstBad } = await detectAnomaly(() => scope(() => model.forward(inputs).loss!.backward()), {
    parameters: model.namedParameters(),
  });
  model.zeroGrad();
  model.dispose();
  expect(undisposed()).toBe(before);
  return firstBad;
}

const fill = (parameter: Tensor, value: number): void =>
  parameter.write(Array.from({ length: parameter.size }, () => value));

test("a weight that is not finite is named before any op", async () => {
  const bad = await found((model) => {
    const { weight } = model.bert.encoder.layer[1]!.output.dense;
    weight.writeBytes(new Uint8Array(Float32Array.of(Infinity, NaN).buffer), 20);
    fill(model.classifier.bias, NaN);
  });
  expect(bad).toMatchObject({ kind: "parameter", name: "bert.encoder.layer.1.output.dense.weight", nan: 1, inf: 1 });
  expect(bad!.message).toBe(
    "bad parameter: bert.encoder.layer.1.output.dense.weight [8,16] has 1 NaN and 1 infinite before any op ran, and 1 more",
  );
});

test("ops are placed by their parameters, or by those around them", async () => {
  const ofItsOwn = await found((model) => fill(model.bert.encoder.layer[1]!.intermediate.dense.weight, 3e38));
  expect(ofItsOwn).toMatchObject({ name: "linear", module: "bert.encoder.layer.1.intermediate.dense" });
  const between = await found((model) => fill(model.bert.encoder.layer[0]!.intermediate.dense.bias, 1e20));
  expect(between!.message).toBe(
    "first bad op: square in the forward pass (bert.encoder.layer.0), output [1,4,16] has 64 infinite, inputs finite",
  );
});

test("in the backward pass", async () => {
  // Forward, zeros are multiplied by 3e38; backward, gradients of about 1e6.
  const bad = await found((model) => {
    const { intermediate, output } = model.bert.encoder.layer[1]!;
    fill(intermediate.dense.bias, -1);
    fill(output.dense.weight, 3e38);
    model.classifier.bias.write([1e9, 0]); // surely wrong: the label is 1
    model.classifier.weight.write(Array.from({ length: 16 }, (_, i) => (i < 8 ? 1e6 : -1e6)));
  });
  expect(bad!.message).toMatch(
    /^first bad op: linear in the backward pass \(bert.encoder.layer.1.output.dense\), gradient \[1,4,16\] has .*(NaN|infinite), inputs finite$/,
  );
});

test("a sound model: nothing is found", async () => {
  expect(await found(() => undefined)).toBeUndefined();
});
