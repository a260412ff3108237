import {
  autocast,
  destroy,
  device,
  fromArray,
  init,
  keep,
  manualSeed,
  memory,
  undisposed,
  record,
  resetPeakMemory,
  scope,
  type Tensor,
} from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BertConfig } from "./bert/bert-config.ts";
import { BertForSequenceClassification } from "./bert/bert-heads.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const [B, T] = [2, 24];

function modelOf(checkpoints: boolean, layers = 3): BertForSequenceClassification {
  manualSeed(3);
  const sizes = { vocab_size: 40, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64 };
  const model = BertForSequenceClassification.fromConfig(
    new BertConfig({ ...sizes, num_hidden_layers: layers, max_position_embeddings: T, initializer_range: 0.2 }), // dropout is 0.1
  ).train();
  if (checkpoints) model.gradientCheckpointingEnable();
  expect(model.isGradientCheckpointing).toBe(checkpoints);
  return model;
}

const ids = (t: number): number[] => Array.from({ length: B * T }, (_, i) => (7 * i + 3 * t) % 40);
const MASK = Array.from({ length: B * T }, (_, i) => (i < B * T - 5 ? 1 : 0));

/** Forward and backward: the loss, and the gradients, taken from the parameters. */
function step(
  model: BertForSequenceClassification,
  input_ids: Tensor,
  mask: Tensor,
  labels: Tensor,
  dtype: "f16" | "f32",
) {
  return scope(() => {
    const loss = autocast(() => model.forward({ input_ids, attention_mask: mask, labels }).loss!, { dtype });
    loss.backward();
    const gradients = model.parameters().flatMap((p) => p.grad ?? []);
    for (const p of model.parameters()) p.grad = null;
    return [loss, ...gradients];
  });
}

const read = (tensors: Tensor[]): Promise<unknown[]> => Promise.all(tensors.map((t) => t.data()));

/** What four steps give, called or recorded once and replayed. */
async function stepsOf(options: { checkpoints: boolean; replays: boolean; dtype?: "f16" | "f32"; frozen?: RegExp }) {
  const { checkpoints, replays, dtype = "f32", frozen } = options;
  const model = modelOf(checkpoints);
  for (const [name, p] of model.namedParameters()) if (frozen?.test(name)) p.requiresGrad = false;
  const [x, mask, labels] = [fromArray(ids(0), [B, T], "i32"), fromArray(MASK, [B, T], "i32"), fromArray([0, 1], [B], "i32")]; // prettier-ignore
  manualSeed(11);
  const got: unknown[] = [];
  if (replays) {
    const { result, recording } = record(() => step(model, x, mask, labels, dtype));
    for (let t = 0; t < 4; t++) {
      x.write(ids(t));
      if (t > 0) recording.replay();
      got.push(await read(result));
    }
    for (const tensor of result) keep(tensor).dispose();
    recording.dispose();
  } else {
    for (let t = 0; t < 4; t++) {
      x.write(ids(t));
      const result = step(model, x, mask, labels, dtype);
      got.push(await read(result));
      for (const tensor of result) tensor.dispose();
    }
  }
  for (const tensor of [x, mask, labels]) tensor.dispose();
  model.dispose();
  return got;
}

test("gradients are those without checkpointing, bit for bit, dropout included: called and replayed", async () => {
  const before = undisposed();
  const want = await stepsOf({ checkpoints: false, replays: false });
  expect(want[1]).not.toEqual(want[0]);
  expect(await stepsOf({ checkpoints: true, replays: false })).toEqual(want);
  expect(await stepsOf({ checkpoints: true, replays: true })).toEqual(want);
  expect(undisposed()).toBe(before);
});

test("the second computation is in the autocast of the first", async () => {
  const want = await stepsOf({ checkpoints: false, replays: false, dtype: "f16" });
  expect(await stepsOf({ checkpoints: true, replays: true, dtype: "f16" })).toEqual(want);
});

test("layers that are frozen from below are not computed again; others get their gradients", async () => {
  const frozen = /embeddings|layer\.[01]\./;
  const want = await stepsOf({ checkpoints: false, replays: false, frozen });
  expect(await stepsOf({ checkpoints: true, replays: false, frozen })).toEqual(want);

  const dispatches = (checkpoints: boolean, frozen: RegExp, training = true): number => {
    const model = modelOf(checkpoints).train(training);
    for (const [name, p] of model.namedParameters()) p.requiresGrad = !frozen.test(name);
    const before = device().queue.dispatched;
    scope(() => model.forward({ input_ids: { data: ids(0), shape: [B, T] }, labels: [0, 1] }).loss!.backward());
    model.dispose();
    return device().queue.dispatched - before;
  };
  const again = (frozen: RegExp, training?: boolean): number =>
    dispatches(true, frozen, training) - dispatches(false, frozen, training);
  expect(again(frozen)).toBeGreaterThan(0);
  expect(again(/nothing/)).toBe(3 * again(frozen));
  expect(again(/layer\.\d/)).toBe(3 * again(frozen)); // gradients pass through them
  expect(again(/embeddings|layer\.[01]\.|layer\.2\.(?!output\.dense\.bias)/)).toBe(again(frozen)); // one parameter is enough
  expect(again(/embeddings|layer|pooler/)).toBe(0);
  expect(again(/nothing/, false)).toBe(0); // in evaluation
});

test("it takes less memory; disabled, as much as before", () => {
  const peakOf = (model: BertForSequenceClassification): number => {
    const inputs = { input_ids: { data: ids(0), shape: [B, T] }, labels: { data: [0, 1], shape: [B] } };
    const before = memory().bytes;
    resetPeakMemory();
    scope(() => model.forward(inputs).loss!.backward());
    const peak = memory().peakBytes - before;
    model.zeroGrad();
    return peak;
  };
  const [plain, checkpointed] = [modelOf(false, 8), modelOf(true, 8)];
  for (const p of [...plain.parameters(), ...checkpointed.parameters()]) p.requiresGrad = p.size <= 64; // activations are what counts
  const [most, least] = [peakOf(plain), peakOf(checkpointed)];
  expect(least).toBeLessThan(most / 2);
  checkpointed.gradientCheckpointingDisable();
  expect(peakOf(checkpointed)).toBe(most);
  for (const model of [plain, checkpointed]) model.dispose();
});
