import { destroy, init, manualSeed, mul, randn, scope, sum, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EncoderLayer } from "./bert/encoder.ts";
import { LayerStack } from "./layer-stack.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const config = {
  ...{
    hidden_size: 16,
    num_hidden_layers: 3,
    num_attention_heads: 2,
    intermediate_size: 32,
    hidden_act: "gelu" as const,
  },
  ...{ hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, layer_norm_eps: 1e-12 },
};

/** Three layers; or one that computes three times. */
class Stack extends LayerStack<EncoderLayer> {
  readonly layer: EncoderLayer[];
  readonly #repeats: number;

  constructor(layers: number, repeats: number) {
    super();
    this.layer = Array.from({ length: layers }, () => new EncoderLayer(config));
    this.#repeats = repeats;
  }

  protected override *layers(): Generator<EncoderLayer> {
    for (let i = 0; i < this.#repeats; i++) yield* this.layer;
  }
}

/** The output, and the gradients by key, of a step with the same dropout. */
async function step(stack: Stack): Promise<{ y: Float32Array; grads: Map<string, Float32Array> }> {
  manualSeed(5);
  const x = randn([2, 6, 16]);
  const weights = randn([2, 6, 16]);
  manualSeed(6);
  const y = scope((): Tensor => {
    const { last } = stack.forward(x, undefined);
    sum(mul(last, weights)).backward();
    return last.detach();
  });
  const grads = new Map<string, Float32Array>();
  for (const [key, p] of stack.namedParameters()) grads.set(key, (await p.grad!.data()) as Float32Array);
  stack.zeroGrad();
  return { y: (await y.data()) as Float32Array, grads };
}

test("a repeated layer computes as copies of it, and its gradient is the sum of theirs; with checkpointing, the same bits", async () => {
  const [repeated, copies] = [new Stack(1, 3).train(), new Stack(3, 1).train()];
  const state = repeated.layer[0]!.stateDict();
  for (const layer of copies.layer) layer.loadStateDict(state);
  const [got, want] = [await step(repeated), await step(copies)];
  expect(got.y).toEqual(want.y);
  for (const [key, gradient] of got.grads) {
    const parts = [0, 1, 2].map((i) => want.grads.get(key.replace("layer.0", `layer.${i}`))!);
    for (const [i, g] of gradient.entries()) {
      const total = parts.reduce((total, part) => total + part[i]!, 0);
      const scale = parts.reduce((total, part) => total + Math.abs(part[i]!), 0);
      if (!(Math.abs(g - total) <= 1e-6 + 1e-5 * scale)) expect.fail(`${key}[${i}] is ${g}, not ${total}`);
    }
  }
  repeated.gradientCheckpointing = true;
  expect(await step(repeated)).toEqual(got);
});
