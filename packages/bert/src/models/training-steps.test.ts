import { autocast, destroy, fromArray, init, keep, manualSeed, record, scope, undisposed, type Tensor } from "@gpugrad/tensor"; // prettier-ignore
import { afterAll, beforeAll, expect, test } from "vitest";
import { architectures } from "./auto.ts";
import type { ModelInputs } from "./inputs.ts";
import type { HeadOutput } from "./outputs.ts";
import { PreTrainedModel } from "./pretrained.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

// Families whose layers share more than a mask: what they share has to reach a layer that is computed again, and be computed again in a replay.
const [B, T, V] = [2, 10, 30];
const sizes = { vocab_size: V, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 20, max_position_embeddings: 16, initializer_range: 0.3 }; // prettier-ignore
const relative = { relative_attention: true, position_biased_input: false, pos_att_type: ["c2p", "p2c"] };
const cases: [architecture: string, config: object][] = [
  ["MPNetForSequenceClassification", sizes],
  [
    "DistilBertForSequenceClassification",
    { ...{ vocab_size: V, dim: 16, n_layers: 2, n_heads: 2, hidden_dim: 20 }, max_position_embeddings: 16 },
  ],
  [
    "ModernBertForSequenceClassification",
    { ...sizes, local_attention: 4, pad_token_id: 0, attention_dropout: 0.1, mlp_dropout: 0.1, embedding_dropout: 0.1 },
  ],
  ["DebertaForSequenceClassification", { ...sizes, ...relative }],
  [
    "DebertaV2ForSequenceClassification",
    {
      ...sizes,
      ...relative,
      share_att_key: true,
      position_buckets: 4,
      norm_rel_ebd: "layer_norm",
      conv_kernel_size: 3,
    },
  ],
];

const ids = (t: number): number[] => Array.from({ length: B * T }, (_, i) => 2 + ((7 * i + 3 * t) % (V - 2)));
const MASK = Array.from({ length: B * T }, (_, i) => (i < B * T - 3 ? 1 : 0));

type Model = PreTrainedModel & { forward(inputs: ModelInputs & { labels: Tensor }): HeadOutput };

/** Loss and gradients of two steps with dropout: called, or recorded once and replayed. */
async function stepsOf(
  [architecture, config]: (typeof cases)[number],
  { checkpoints, replays, dtype }: { checkpoints: boolean; replays: boolean; dtype: "f16" | "f32" },
): Promise<unknown[]> {
  manualSeed(3);
  const Class = architectures[architecture]!;
  const model = PreTrainedModel.fromConfig.call(Class, new Class.Config(config)).train() as Model;
  if (checkpoints) model.gradientCheckpointingEnable();
  const [x, mask, labels] = [fromArray(ids(0), [B, T], "i32"), fromArray(MASK, [B, T], "i32"), fromArray([0, 1], [B], "i32")]; // prettier-ignore
  const step = (): Tensor[] =>
    scope(() => {
      const { loss } = autocast(() => model.forward({ input_ids: x, attention_mask: mask, labels }), { dtype });
      loss!.backward();
      const gradients = model.parameters().flatMap((p) => p.grad ?? []);
      for (const p of model.parameters()) p.grad = null;
      return [loss!, ...gradients];
    });
  const read = (tensors: readonly Tensor[]): Promise<unknown[]> => Promise.all(tensors.map((t) => t.data()));

  manualSeed(11);
  const { result, recording } = replays ? record(step) : { result: step(), recording: undefined };
  const got = [await read(result)];
  x.write(ids(1));
  recording?.replay();
  const second = recording ? result : step();
  got.push(await read(second));
  for (const tensor of new Set([...result, ...second])) keep(tensor).dispose();
  recording?.dispose();
  for (const tensor of [x, mask, labels]) tensor.dispose();
  model.dispose();
  return got;
}

test.each(cases)("%s: replays, and layers computed again, give the same bits, dropout included", async (...one) => {
  const before = undisposed();
  for (const dtype of ["f32", "f16"] as const) {
    const want = await stepsOf(one, { checkpoints: false, replays: false, dtype });
    expect(want[1]).not.toEqual(want[0]);
    expect(JSON.stringify(want)).not.toContain("null"); // no NaN
    expect(await stepsOf(one, { checkpoints: true, replays: true, dtype })).toEqual(want);
  }
  expect(undisposed()).toBe(before);
});
