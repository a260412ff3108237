import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { noGrad } from "@gpugrad/autograd";
import { folderOf, serializeSafetensors, type Folder } from "@gpugrad/nn";
import { destroy, fromArray, init, scope } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFolder } from "#platform";
import { sizesOf } from "../models/pretrained-config.ts";
import { AutoModel } from "../models/auto.ts";
import { AutoTokenizer } from "../tokenizer/auto-tokenizer.ts";
import { padRows } from "../tokenizer/padding.ts";
import { shared } from "../../test/shared.ts";
import { poolTokens } from "./pooling.ts";
import { readSentenceSettings, type PoolingMode, type SentenceSettings } from "./settings.ts";

// Made by sentence-transformers: see make_poolings.py beside it.
const golden = JSON.parse(readFileSync(new URL("../../test/fixtures/poolings.json", import.meta.url), "utf8")) as {
  tiny: {
    hidden: number[][][];
    mask: number[][];
    cases: { modes: PoolingMode[]; promptLength: number; vectors: number[][] }[];
  };
  minilm: { texts: string[]; rows: { mode: PoolingMode; vectors: number[][] }[] };
};

beforeAll(async () => void (await init()));
afterAll(destroy);

const usual: SentenceSettings = {
  ...{ modes: ["mean"], dense: [], normalize: false, maxLength: undefined, lowerCase: false, prompt: "" },
  includePrompt: true,
};

function expectClose(got: ArrayLike<number>, want: readonly number[], tolerance: number, what: string): void {
  expect(got.length, what).toBe(want.length);
  const wrong = want.findIndex((value, i) => !(Math.abs(got[i]! - value) <= tolerance));
  if (wrong >= 0) expect.fail(`${what}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`);
}

it.each(golden.tiny.cases)("pools as sentence-transformers does: $modes, $promptLength", async (one) => {
  const { modes, promptLength, vectors } = one;
  const { hidden, mask } = golden.tiny;
  const settings = { ...usual, modes, includePrompt: promptLength === 0 };
  const pooled = poolTokens(fromArray(hidden.flat(2), [3, 5, 4]), mask.flat(), settings, promptLength);
  expect(pooled.shape.at(-1)).toBe(4 * modes.length);
  expectClose(await pooled.data(), vectors.flat(), 1e-6, modes.join());
});

const modules = (...kinds: string[]) =>
  JSON.stringify(
    kinds.map((kind, idx) => ({ idx, name: String(idx), path: idx === 0 || kind === "Normalize" ? "" : `${idx}_${kind}`, type: `sentence_transformers.models.${kind}` })), // prettier-ignore
  );
const bert = ["Transformer", "Pooling"];
const read = (files: Record<string, string | Blob>) => readSentenceSettings(folderOf(files, "here"), 4);

describe("readSentenceSettings", () => {
  it("is the mean, scaled to length 1, without any file", async () => {
    expect(await read({})).toEqual({ ...usual, normalize: true });
  });

  it("takes pooling from older files and newer ones, the length, the case and the default prompt", async () => {
    const old = { word_embedding_dimension: 4, pooling_mode_cls_token: true, pooling_mode_mean_tokens: false };
    expect(
      await read({
        "modules.json": modules(...bert),
        "1_Pooling/config.json": JSON.stringify({ ...old, pooling_mode_lasttoken: true, include_prompt: false }),
        "sentence_bert_config.json": JSON.stringify({ max_seq_length: 12, do_lower_case: true }),
        "config_sentence_transformers.json": JSON.stringify({ prompts: { q: "query: " }, default_prompt_name: "q" }),
      }),
    ).toEqual({
      ...{ modes: ["cls", "lasttoken"], dense: [], normalize: false, includePrompt: false },
      ...{ maxLength: 12, lowerCase: true, prompt: "query: " },
    });
    const newer = { embedding_dimension: 4, pooling_mode: ["max", "weightedmean"] };
    expect(
      await read({
        "modules.json": modules(...bert, "Normalize"),
        "1_Pooling/config.json": JSON.stringify({ ...newer, ...old }),
      }),
    ).toMatchObject({ modes: ["max", "weightedmean"], normalize: true });
    expect(
      await read({ "modules.json": modules(...bert), "1_Pooling/config.json": '{"pooling_mode": "lasttoken"}' }),
    ).toMatchObject({ modes: ["lasttoken"], normalize: false });
  });

  it("applies the layers that follow the pooling", async () => {
    const pieces: Uint8Array[] = [];
    const bytes = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);
    for await (const piece of serializeSafetensors([
      { name: "linear.weight", dtype: "F32", shape: [2, 4], bytes: bytes(1, 0, 0, 0, 0, 1, 1, 0) },
      { name: "linear.bias", dtype: "F32", shape: [2], bytes: bytes(0.5, -1) },
    ]))
      pieces.push(piece);
    const settings = await read({
      "modules.json": modules(...bert, "Dense"),
      "1_Pooling/config.json": "{}",
      "2_Dense/config.json": JSON.stringify({ activation_function: "torch.nn.modules.activation.Tanh" }),
      "2_Dense/model.safetensors": new Blob(pieces as BlobPart[]),
    });
    const y = poolTokens(fromArray([1, 2, 3, 4, 3, 2, 1, 0], [1, 2, 4]), [1, 1], settings); // mean 2 2 2 2
    expectClose(await y.data(), [Math.tanh(2.5), Math.tanh(3)], 1e-5, "dense");
  });

  const pooling = (config: object) => ({ "modules.json": modules(...bert), "1_Pooling/config.json": JSON.stringify(config) }); // prettier-ignore
  it.each<[Record<string, string>, RegExp]>([
    [{ "modules.json": "{}" }, /here\/modules.json: expected a list/],
    [{ "modules.json": "[" }, /here\/modules.json: not JSON/],
    [{ "modules.json": '[{"type": "a.Transformer", "path": "../x"}]' }, /is not a module with its type and a folder/],
    [
      { "modules.json": '[{"type": 5, "path": ""}]' },
      /{"type":5,"path":""} is not a module with its type and a folder/,
    ],
    [{ "modules.json": '[{"type": "a.Transformer", "path": 5}]' }, /is not a module with its type and a folder/],
    [{ "modules.json": '[{"type": "a.Transformer"}]' }, /is not a module with its type and a folder/],
    [{ "modules.json": "[null]" }, /null is not a module with its type and a folder/],
    [{ "modules.json": modules("Transformer", "WordWeights") }, /then Pooling, found Transformer, WordWeights/],
    [{ "modules.json": modules(...bert) }, /modules.json names 1_Pooling, but there is no 1_Pooling\/config.json/],
    [pooling({ pooling_mode: "sum" }), /here\/1_Pooling\/config.json: pooling_mode: "sum" is not one of cls, max/],
    [pooling({ word_embedding_dimension: 8 }), /pools vectors of 8, but the model's have 4/],
    [
      { ...pooling({}), "modules.json": modules(...bert, "LayerNorm") },
      /the module LayerNorm after Pooling is not supp/,
    ],
    [{ ...pooling({}), "modules.json": modules(...bert, "Normalize", "Normalize") }, /the module Normalize after/],
    [{ "sentence_bert_config.json": '{"max_seq_length": 0}' }, /max_seq_length: 0 is not a positive integer/],
    [{ "config_sentence_transformers.json": '{"default_prompt_name": "q"}' }, /prompts has no text named "q"/],
    [
      {
        ...pooling({}),
        "modules.json": modules(...bert, "Dense"),
        "2_Dense/config.json": '{"activation_function": "os.system"}',
      },
      /here\/2_Dense\/config.json: activation_function: "os.system" is not one of Identity, Tanh/,
    ],
  ])("refuses %j", async (files, message) => {
    await expect(read(files)).rejects.toMatchObject({ name: "GpugradError", message: expect.stringMatching(message) as unknown }); // prettier-ignore
  });
});

describe("all-MiniLM-L6-v2", () => {
  const name = "models/sentence-transformers/all-MiniLM-L6-v2";
  const cached = join(homedir(), ".cache/gpugrad-hub/repos", name);
  const minilm = existsSync(cached) ? cached : shared(`hub/repos/${name}`);

  it.skipIf(!minilm)("gives the vectors of sentence-transformers by each pooling", async () => {
    const folder = await openFolder(minilm!);
    const model = await AutoModel.fromPretrained(folder, { onReport: () => undefined });
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    const rows = tokenizer.encodeBatch(golden.minilm.texts, { truncation: true, maxLength: 256 });
    const { input_ids, attention_mask, shape } = padRows(rows, tokenizer);
    for (const { mode, vectors } of golden.minilm.rows) {
      const changed: Folder = {
        name: folder.name,
        open: (file) => (file === "1_Pooling/config.json" ? folderOf({ [file]: JSON.stringify({ pooling_mode: mode }) }) : folder).open(file), // prettier-ignore
      };
      const settings = await readSentenceSettings(changed, sizesOf(model.config).hidden_size!);
      expect([settings.maxLength, settings.normalize]).toEqual([256, true]);
      const { read } = scope(() => ({
        read: noGrad(() =>
          poolTokens(
            model.forward({ input_ids: { data: input_ids, shape }, attention_mask: { data: attention_mask, shape } })
              .last_hidden_state,
            attention_mask,
            settings,
          ),
        ).data(),
      }));
      const values = await read;
      for (const [b, want] of vectors.entries()) {
        const row = values.slice(b * 384, (b + 1) * 384);
        const length = Math.hypot(...row);
        expectClose(
          Array.from(row.subarray(0, 12), (v) => v / length),
          want,
          2e-5,
          `${mode}, text ${b}`,
        );
      }
    }
    model.dispose();
  });
});
