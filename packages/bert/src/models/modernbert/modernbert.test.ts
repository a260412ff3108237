import { describe, expect, test } from "vitest";
import { testFamily } from "../../../test/tiny-family.ts";
import { ModernBertConfig } from "./modernbert-config.ts";
import { ModernBertForMaskedLM } from "./modernbert-heads.ts";

testFamily("modernbert");

describe("ModernBertConfig", () => {
  const sizes = { num_hidden_layers: 5, vocab_size: 30, pad_token_id: 0 };
  const json = (config: ModernBertConfig) => JSON.parse(config.toString()) as Record<string, unknown>;

  // What Transformers 5.24 writes for the same values.
  test("the Hub's older keys become those of Transformers 5", () => {
    const config = new ModernBertConfig({ ...sizes, global_attn_every_n_layers: 2, global_rope_theta: 500, local_rope_theta: 30.5 }); // prettier-ignore
    const [full, sliding] = ["full_attention", "sliding_attention"];
    expect(json(config)).toMatchObject({
      layer_types: [full, sliding, full, sliding, full],
      rope_parameters: {
        full_attention: { rope_theta: 500, rope_type: "default" },
        sliding_attention: { rope_theta: 30.5, rope_type: "default" },
      },
      global_attn_every_n_layers: 2,
    });
    for (const key of ["global_rope_theta", "local_rope_theta"]) expect(json(config)).not.toHaveProperty(key);
    expect(config.toString()).toContain('"rope_theta": 500.0,'); // Python reads a float
    expect(new ModernBertConfig(json(config)).toString()).toBe(config.toString());
  });

  test("the default is a layer that attends to all tokens, then two that don't; given types come before", () => {
    expect(new ModernBertConfig(sizes).layer_types.map((type) => type[0])).toEqual(["f", "s", "s", "f", "s"]);
    expect(new ModernBertConfig({ num_hidden_layers: 1, layer_types: ["sliding_attention"] }).layer_types).toEqual(["sliding_attention"]); // prettier-ignore
    expect(new ModernBertConfig(sizes).rope_parameters.full_attention.rope_theta).toBe(160_000);
  });

  test.each([
    [{ layer_types: ["full_attention"] }, "layer_types: 1 types for 5 layers"],
    [{ layer_types: ["half_attention"] }, "is not a list of full_attention and sliding_attention"],
    [
      { rope_parameters: { full_attention: { rope_type: "yarn" } } },
      'has rope_type "yarn" for full_attention; only "default"',
    ],
    [{ rope_scaling: { rope_type: "linear", factor: 2 } }, 'has rope_type "linear" for full_attention'],
    [{ local_rope_theta: -1 }, "has no positive rope_theta for sliding_attention"],
    [{ global_attn_every_n_layers: 0 }, "global_attn_every_n_layers: 0 is not a positive integer"],
    [{ hidden_size: 36, num_attention_heads: 12 }, "is odd"],
  ])("%j", (bad, message) => {
    expect(() => new ModernBertConfig({ ...sizes, ...bad } as object)).toThrow(message);
  });

  test("sparse_prediction is refused, by the head that it concerns", () => {
    const config = new ModernBertConfig({ ...sizes, hidden_size: 4, num_attention_heads: 2, sparse_prediction: true });
    expect(() => ModernBertForMaskedLM.fromConfig(config)).toThrow("config: sparse_prediction");
  });
});
