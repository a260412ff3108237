import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderOf } from "@gpugrad/nn";
import { describe, expect, it } from "vitest";
import { shared } from "../../test/shared.ts";
import { AutoConfig } from "./auto.ts";
import { BertConfig } from "./bert/bert-config.ts";
import { size, unchecked } from "./fields.ts";
import type { ConfigValues } from "./pretrained-config.ts";

const written = (values: ConfigValues<BertConfig>) =>
  JSON.parse(String(new BertConfig(values))) as Record<string, unknown>;
const read = (json: object, overrides?: ConfigValues<BertConfig>) =>
  AutoConfig.fromPretrained(folderOf({ "config.json": JSON.stringify(json) }, "here"), overrides);

describe("BertConfig", () => {
  it("has the defaults of bert-base-uncased, and writes them as Transformers does", () => {
    const config = new BertConfig();
    expect(config.hidden_size).toBe(768);
    expect(config.num_labels).toBe(2);
    expect(Object.keys(written({}))).toEqual([
      "add_cross_attention", "attention_probs_dropout_prob", "bos_token_id", "classifier_dropout", "eos_token_id",
      "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range", "intermediate_size", "is_decoder",
      "layer_norm_eps", "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers",
      "pad_token_id", "tie_word_embeddings", "transformers_version", "type_vocab_size", "use_cache", "vocab_size",
    ]); // prettier-ignore
    expect(String(new BertConfig({ initializer_range: 1 }))).toContain('"initializer_range": 1.0,');
  });

  it("writes labels only where they differ from the default two", () => {
    const labels = ({ id2label, label2id, num_labels }: Record<string, unknown>) => ({
      id2label,
      label2id,
      num_labels,
    });
    const none = { id2label: undefined, label2id: undefined, num_labels: undefined };
    expect(labels(written({ num_labels: 2 }))).toEqual(none);
    expect(labels(written({ num_labels: 1 }))).toEqual({
      ...none,
      id2label: { 0: "LABEL_0" },
      label2id: { LABEL_0: 0 },
    });
    const named = { id2label: { 0: "neg", 1: "pos" }, label2id: { neg: 0, pos: 1 } };
    expect(labels(written({ id2label: named.id2label }))).toEqual({ ...none, ...named });
  });

  it.each<[ConfigValues<BertConfig> | { [key: string]: unknown }, RegExp]>([
    [{ hidden_size: 30, num_attention_heads: 4 }, /hidden_size: 30 is not a multiple of num_attention_heads 4/],
    [{ hidden_act: "golu" }, /hidden_act: "golu" is unknown\. Known: gelu,/],
    [{ vocab_size: "many" }, /vocab_size: "many" is not an integer from 1 to 10000000/],
    [{ hidden_dropout_prob: 1 }, /hidden_dropout_prob: 1 is not a probability/],
    [{ classifier_dropout: -1 }, /classifier_dropout: -1/],
    [{ layer_norm_eps: null }, /layer_norm_eps: null/],
    [{ problem_type: "hard" }, /problem_type: "hard" is unknown. Known: regression,/],
    [{ pad_token_id: 30522 }, /pad_token_id: 30522 is not a row of the 30522/],
    [{ num_labels: 0 }, /num_labels: 0/],
    [{ id2label: { 1: "a" } }, /id2label: names classes 0, 1, 2/],
    [{ is_decoder: true }, /only encoders/],
    [{ num_labels: 1e9 }, /num_labels: 1000000000 is not a number of classes from 1 to 100000/],
    [{ num_labels: 2.5 }, /num_labels: 2.5 is not/],
    [{ num_hidden_layers: 1e6 }, /num_hidden_layers: 1000000 is not an integer from 0 to 1000/],
    [{ hidden_size: 1e12, num_attention_heads: 1 }, /hidden_size: 1000000000000 is not an integer from 1 to 65536/],
    [{ max_position_embeddings: 2 ** 40 }, /max_position_embeddings: 1099511627776 is not/],
    [{ intermediate_size: -1 }, /intermediate_size: -1 is not/],
    [{ layer_norm_eps: Infinity }, /layer_norm_eps: .* is not a finite number/],
    [{ tie_word_embeddings: "no" }, /tie_word_embeddings: "no" is not true or false/],
    [{ id2label: "x" }, /id2label, label2id: expected objects, found "x"/],
    [{ id2label: { 0: {} } }, /id2label: {} is not the name of a class/],
    [{ architectures: "BertModel" }, /architectures: "BertModel" is not a list/],
    [{ model_type: "gpt2" }, /model_type is "gpt2", this is a configuration of "bert"/],
    [{ pruned_heads: { 0: [1] } }, /pruned_heads/],
    [{ quantization_config: { load_in_8bit: true } }, /quantization_config: quantized weights/],
    [{ hidden_act: "constructor" }, /hidden_act: "constructor" is unknown/],
    [{ position_embedding_type: "relative_key" }, /position_embedding_type: "relative_key" is not supported/],
  ])("refuses %o", (values, message) => {
    expect(() => new BertConfig(values as ConfigValues<BertConfig>)).toThrow(message);
  });

  it("accepts what says that nothing is out of the ordinary", () => {
    const usual = {
      pruned_heads: {},
      quantization_config: null,
      position_embedding_type: "absolute",
      pad_token_id: null,
    };
    expect(new BertConfig(usual as ConfigValues<BertConfig>).hidden_size).toBe(768);
  });
});

describe("a configuration of one's own", () => {
  const fields = {
    ...BertConfig.fields,
    vocab_size: size(50265, 100_000),
    pad_token_id: unchecked<number | null>(1),
    depth: size(3, 12),
  };
  class Own extends BertConfig {
    static override readonly modelType = "own";
    static override readonly fields = fields;
    declare depth: number;

    constructor(values: ConfigValues<Own> & { model_type?: string } = {}) {
      super(values);
    }
  }

  it("has its own defaults, before which come the values that are given", () => {
    const config = new Own({ vocab_size: 1000, depth: 5, model_type: "own" });
    expect([config.vocab_size, config.pad_token_id, config.depth, config.hidden_size]).toEqual([1000, 1, 5, 768]);
    expect(new Own().vocab_size).toBe(50265);
    expect(config.toJSON()).toMatchObject({ model_type: "own", vocab_size: 1000, depth: 5 });
    config.vocab_size = 7;
    expect(config.vocab_size).toBe(7);
    expect(new Own({ num_labels: 3 }).num_labels).toBe(3);
  });

  it("is checked as a whole", () => {
    expect(() => new Own({ pad_token_id: 50265 })).toThrow(/pad_token_id: 50265 is not a row of the 50265/);
    expect(new Own({ pad_token_id: 40000 }).pad_token_id).toBe(40000);
    expect(() => new Own({ depth: 13 })).toThrow("config: depth: 13 is not an integer from 1 to 12.");
    expect(() => new Own({ model_type: "bert" })).toThrow(/model_type is "bert", this is a configuration of "own"/);
    expect(new BertConfig().vocab_size).toBe(30522);
  });
});

describe("keys that are named like methods", () => {
  it.each(["validate", "toString", "savePretrained", "toJSON", "constructor", "__proto__", "hasOwnProperty"])(
    "%s is kept as a value",
    async (key) => {
      const config = await AutoConfig.fromPretrained(
        folderOf({ "config.json": `{"model_type": "bert", "${key}": {"a": 1}, "hidden_size": 24}` }),
      );
      expect([config.hidden_size, config instanceof BertConfig]).toEqual([24, true]);
      const json = JSON.parse(String(config)) as object;
      expect(Object.getOwnPropertyDescriptor(json, key)?.value).toEqual({ a: 1 });
    },
  );

  it("leaves the checks on", async () => {
    await expect(read({ model_type: "bert", validate: "x", hidden_size: 7 })).rejects.toThrow(/hidden_size: 7/);
  });
});

describe("AutoConfig", () => {
  it("reads old files, keeps keys that it does not know, and takes overrides", async () => {
    const config = await read({
      model_type: "bert",
      torch_dtype: "float16",
      gradient_checkpointing: false,
      _name_or_path: "x",
      hidden_size: 24,
    });
    expect(config.dtype).toBe("float16");
    const json = config.toJSON();
    expect(json).toMatchObject({ dtype: "float16", gradient_checkpointing: false, hidden_size: 24 });
    expect(Object.keys(json)).not.toContain("torch_dtype");
    expect(Object.keys(json)).not.toContain("_name_or_path");
    expect((await read({ architectures: ["BertModel"] }, { hidden_size: 36 })).hidden_size).toBe(36);
  });

  it("replaces the labels of the file as a whole", async () => {
    const file = { model_type: "bert", id2label: { 0: "a", 1: "b", 2: "c" }, label2id: { a: 0, b: 1, c: 2 } };
    expect((await read(file)).num_labels).toBe(3);
    expect((await read(file, { num_labels: 3 })).id2label).toEqual(file.id2label);
    expect((await read(file, { num_labels: 4 })).label2id).toEqual({ LABEL_0: 0, LABEL_1: 1, LABEL_2: 2, LABEL_3: 3 });
    expect((await read(file, { id2label: { 0: "no", 1: "yes" } })).label2id).toEqual({ no: 0, yes: 1 });
  });

  it("says what is wrong with a folder", async () => {
    await expect(AutoConfig.fromPretrained(folderOf({}, "here"))).rejects.toThrow(/here: no config.json/);
    await expect(read({ model_type: 5 })).rejects.toThrow(/here: model_type is 5. Known here: bert/);
    await expect(read({ architectures: [5] })).rejects.toThrow(/here: model_type is "unknown"/);
    const deep = `{"a":${"[".repeat(1e5)}${"]".repeat(1e5)}}`;
    await expect(AutoConfig.fromPretrained(folderOf({ "config.json": deep }, "here"))).rejects.toThrow(
      /here\/config.json: nested more than 128 levels deep/,
    );
    await expect(read({ model_type: "gpt2" })).rejects.toThrow(/here: model_type is "gpt2". Known here: bert/);
    await expect(read({ model_type: "bert", hidden_size: 7 })).rejects.toThrow(
      /here: config: hidden_size: 7 is not a multiple/,
    );
  });

  it("takes other defaults from class fields, which values that are given come before", () => {
    class Own extends BertConfig {
      override vocab_size = 50265;
      override pad_token_id: number | null = 1;
    }
    expect(new Own().vocab_size).toBe(50265);
    const config = new Own({ vocab_size: 1000, num_labels: 3 });
    expect([config.vocab_size, config.pad_token_id, config.num_labels]).toEqual([1000, 1, 3]);
    config.vocab_size = 7;
    expect(config.vocab_size).toBe(7);
  });

  const golden = ["", "-3-labels", "-multi-label", "-regression"].map((name) =>
    shared(`reference/models/bert-sequence-classification${name}/config.json`),
  );
  it.skipIf(!golden[0])("writes what Transformers wrote", async () => {
    const dir = await mkdtemp(join(tmpdir(), "config-"));
    for (const file of golden) {
      const config = await AutoConfig.fromPretrained(file!.replace(/\/config.json$/, ""));
      await config.savePretrained(dir);
      const ours = await readFile(join(dir, "config.json"), "utf8");
      expect(ours.replaceAll(/: (\d+)\.0,/g, ": $1,")).toBe(
        (await readFile(file!, "utf8")).replaceAll(/: (\d+)\.0,/g, ": $1,"),
      );
    }
    await rm(dir, { recursive: true });
  });
});
