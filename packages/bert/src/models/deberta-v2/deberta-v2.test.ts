import { expect, test } from "vitest";
import { testFamily } from "../../../test/tiny-family.ts";
import { DebertaV2Config } from "./deberta-v2-config.ts";

testFamily("deberta-v2");

test("a configuration as the Hub's DeBERTa-v3 has it: what is given is written again, and nothing else of what may be left out", () => {
  const config = new DebertaV2Config({ pos_att_type: "p2c|C2P ", hidden_size: 48, share_att_key: true } as object);
  expect(config.toJSON()).toMatchObject({ pos_att_type: ["p2c", "c2p"], pooler_hidden_size: 48, share_att_key: true });
  const written = JSON.parse(config.toString()) as object;
  for (const key of ["position_buckets", "norm_rel_ebd", "conv_kernel_size", "embedding_size", "cls_dropout"])
    expect(written).not.toHaveProperty(key);
});

test.each([
  [{ pos_att_type: ["p2p"] }, `pos_att_type: ["p2p"] is not a list of "c2p" and "p2c"`],
  [{ conv_kernel_size: 4 }, "conv_kernel_size: 4 is even"],
  [{ conv_kernel_size: 3, conv_groups: 5 }, "conv_groups: hidden_size 48 is not a multiple of 5"],
  [{ attention_head_size: 3 }, "attention_head_size: 3 for 24 heads is not hidden_size 48"],
  [{ pooler_hidden_size: 6 }, "pooler_hidden_size: 6 is not hidden_size 48"],
  [{ legacy: false, embedding_size: 6 }, "embedding_size: 6 with legacy false"],
  [{ talking_head: true }, "config: talking_head"],
])("%j", (bad, message) => {
  expect(() => new DebertaV2Config({ hidden_size: 48, ...bad })).toThrow(message);
});
