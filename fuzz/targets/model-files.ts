import { AutoConfig, byteSource, folderOf, openWeights, SafetensorsFile, serializeSafetensors } from "@gpugrad/bert";
import { bundle, unbundle, type Target } from "../target.ts";

const tensors = [
  { name: "a.weight", dtype: "F32" as const, shape: [2, 3], bytes: () => new Uint8Array(24) },
  { name: "b", dtype: "F16" as const, shape: [4], bytes: () => new Uint8Array(8) },
  { name: "empty", dtype: "I64" as const, shape: [0, 7], bytes: () => new Uint8Array(0) },
];

async function file(list = tensors): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of serializeSafetensors(list, { format: "pt" })) parts.push(part.slice());
  return Uint8Array.from(Buffer.concat(parts));
}

async function readAll(open: Promise<SafetensorsFile | Awaited<ReturnType<typeof openWeights>>>): Promise<void> {
  const weights = await open;
  try {
    for (const key of weights.keys()) await weights.read(key);
  } finally {
    await weights.close();
  }
}

const whole = await file();

/** The bytes as they are. */
export const safetensors: Target = {
  name: "safetensors",
  seeds: [whole],
  dictionary: [
    '"dtype":"F8_E4M3"',
    '"BOOL"',
    '"shape":[1,1]',
    '"data_offsets":[0,24]',
    '"__metadata__":null',
    "\0\0\0\0",
  ],
  read: (input) => readAll(SafetensorsFile.open(byteSource(input, "model.safetensors"))),
};

const header = new TextDecoder().decode(
  whole.subarray(8, 8 + Number(new DataView(whole.buffer).getBigUint64(0, true))),
);

/** The header's JSON, with a length that fits it. */
export const safetensorsHeader: Target = {
  name: "safetensors-header",
  seeds: [header.trim()],
  dictionary: [...safetensors.dictionary, "[4294967296,4294967296]", '"data_offsets":[8,4]'],
  read(input) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(input.length));
    return safetensors.read(Uint8Array.from(Buffer.concat([length, input, new Uint8Array(32)])));
  },
};

const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;

/** `model.safetensors.index.json` beside two shards. */
export const shardIndex: Target = {
  name: "shard-index",
  seeds: [
    bundle({
      "model.safetensors.index.json": JSON.stringify({
        metadata: { total_size: 32, total_parameters: 10 },
        weight_map: { "a.weight": shards[0], b: shards[1], empty: shards[1] },
      }),
      [shards[0]]: await file(tensors.slice(0, 1)),
      [shards[1]]: await file(tensors.slice(1)),
    }),
  ],
  dictionary: ['"weight_map"', "../../model.safetensors", "/etc/passwd", "model-99999-of-00002.safetensors", "\\..\\"],
  read: (input) => readAll(openWeights(folderOf(unbundle(input), "model"))),
};

/** `config.json`. */
export const config: Target = {
  name: "config",
  seeds: [
    JSON.stringify({
      architectures: ["BertForSequenceClassification"],
      model_type: "bert",
      hidden_size: 8,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      intermediate_size: 16,
      vocab_size: 20,
      max_position_embeddings: 16,
      type_vocab_size: 2,
      hidden_act: "gelu",
      hidden_dropout_prob: 0.1,
      layer_norm_eps: 1e-12,
      pad_token_id: 0,
      id2label: { 0: "negative", 1: "positive" },
      label2id: { negative: 0, positive: 1 },
    }),
    JSON.stringify({ model_type: "bert", num_labels: 3, problem_type: "regression" }),
  ],
  dictionary: [
    '"validate":1',
    '"toJSON":1',
    '"num_labels":1e9',
    '"id2label":{"7":"a"}',
    '"problem_type":"x"',
    '"is_decoder":true',
  ],
  read: (input) => AutoConfig.fromPretrained(folderOf({ "config.json": input }, "model")),
};
