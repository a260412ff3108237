import { mkdtempSync, rmSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { noGrad } from "@gpugrad/autograd";
import { openFile, SafetensorsFile, toFloat32 } from "@gpugrad/nn";
import { destroy, init, undisposed, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification } from "../auto.ts";
import type { ModelInputs } from "../inputs.ts";
import { BertConfig } from "./bert-config.ts";
import { BertForMaskedLM, BertForSequenceClassification } from "./bert-heads.ts";

// Made by PyTorch and Transformers in float64: see fixtures/make_tiny_bert.py.
const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../test/fixtures/tiny-bert");
const { inputs } = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as {
  inputs: ModelInputs & { labels: number[] };
};
let golden: SafetensorsFile;

beforeAll(async () => {
  await init();
  golden = await SafetensorsFile.open(await openFile(join(folder, "golden.safetensors")));
});
afterAll(async () => {
  await golden.close();
  await destroy();
});

/** Fails unless every element of `tensor` is within atol + 1e-5·|golden| of the golden tensor. */
async function expectGolden(name: string, tensor: Tensor, atol = 2e-6): Promise<void> {
  const { dtype, bytes, shape } = await golden.read(name);
  expect(tensor.shape, name).toEqual(shape);
  const want = toFloat32(dtype, bytes);
  const got = await tensor.data();
  const wrong = want.findIndex((w, i) => !(Math.abs(got[i]! - w) <= atol + 1e-5 * Math.abs(w)));
  if (wrong >= 0) expect.fail(`${name}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`);
}

describe("BertForSequenceClassification against PyTorch", () => {
  test("hidden states, attentions, logits, loss and every gradient", async () => {
    const model = await AutoModelForSequenceClassification.fromPretrained(folder);
    const { loss, logits, hidden_states, attentions } = model.forward(inputs, {
      outputHiddenStates: true,
      outputAttentions: true,
    });
    await expectGolden("loss", loss!);
    await expectGolden("logits", logits);
    expect([hidden_states.length, attentions.length]).toEqual([3, 2]); // the embeddings, and each layer
    for (const [i, state] of hidden_states.entries()) await expectGolden(`hidden_states.${i}`, state);
    for (const [i, probabilities] of attentions.entries()) await expectGolden(`attentions.${i}`, probabilities);
    // The fused attention has a backward of its own: the gradients are checked along that path.
    scope(() => model.forward(inputs).loss!.backward());
    for (const [name, parameter] of model.namedParameters()) await expectGolden(`grad.${name}`, parameter.grad!);
    model.dispose();
  });

  test("evaluation leaves nothing behind", async () => {
    const model = await AutoModelForSequenceClassification.fromPretrained(folder);
    const before = undisposed();
    const read = scope(() => ({ logits: noGrad(() => model.forward(inputs)).logits.data() }));
    expect((await read.logits).length).toBe(6);
    expect(undisposed()).toBe(before);
    model.dispose();
  });
});

describe("inputs that can't be", () => {
  const config = new BertConfig({ vocab_size: 20, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8, max_position_embeddings: 4 }); // prettier-ignore
  test.each([
    [{ input_ids: [[1, 20]] }, /input_ids: 20 at index 1, but the vocabulary has 20/],
    [{ input_ids: [[1, 2, 3, 4, 5]] }, /5 tokens, but the model has 4 positions/],
    [{ input_ids: [1, 2] }, /\[B, T\] is expected/],
    [{ input_ids: [[1, 2], [3]] }, /rows of different lengths/],
    [{ input_ids: [[1, 2]], token_type_ids: [[0, 2]] }, /token_type_ids: 2 at index 1, but the model has 2 types/],
    [{ input_ids: [[1, 2]], attention_mask: [[1]] }, /attention_mask: shape \[1,1\], but input_ids is \[1,2\]/],
    [{ input_ids: [[1, 2]], labels: [2] }, /labels: 2 at index 0, but the model has 2 labels/],
  ])("%j", (bad, message) => {
    const model = BertForSequenceClassification.fromConfig(config);
    expect(() => scope(() => model.forward(bad as typeof inputs))).toThrow(message);
    model.dispose();
  });
});

describe("saving", () => {
  test("what is saved opens again with the same weights, and a tied decoder is saved once", async () => {
    const out = mkdtempSync(join(tmpdir(), "gpugrad-"));
    const config = new BertConfig({ vocab_size: 20, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8, max_position_embeddings: 8 }); // prettier-ignore
    const model = BertForMaskedLM.fromConfig(config);
    const words = await model.bert.embeddings.word_embeddings.weight.data();
    expect(words.subarray(0, 8)).toEqual(new Float32Array(8)); // [PAD]
    await model.savePretrained(out);
    const file = await SafetensorsFile.open(await openFile(join(out, "model.safetensors")));
    expect(file.keys()).not.toContain("cls.predictions.decoder.weight");
    await file.close();
    const again = await AutoModelForMaskedLM.fromPretrained(out);
    const tensors = new Map(again.namedTensors());
    for (const [name, tensor] of model.namedTensors())
      expect(await tensors.get(name)!.data()).toEqual(await tensor.data());
    expect(tensors.get("cls.predictions.decoder.weight")).toBe(tensors.get("bert.embeddings.word_embeddings.weight"));
    rmSync(out, { recursive: true });
  });

  test("sixteen bits stay sixteen bits, unless f32 is asked for", async () => {
    const out = mkdtempSync(join(tmpdir(), "gpugrad-"));
    const half = await BertForSequenceClassification.fromPretrained(folder, { dtype: "f16" });
    await half.savePretrained(out);
    const config = () => JSON.parse(readFileSync(join(out, "config.json"), "utf8")) as object;
    expect(config()).toMatchObject({ dtype: "float16", architectures: ["BertForSequenceClassification"] });
    const again = await BertForSequenceClassification.fromPretrained(out);
    expect(again.classifier.weight.dtype).toBe("f16");
    const wide = await BertForSequenceClassification.fromPretrained(out, { dtype: "f32" });
    expect(wide.classifier.weight.dtype).toBe("f32");
    const [a, b] = scope(() => [again, wide].map((m) => noGrad(() => m.forward(inputs)).logits.data()));
    expect(await a).toEqual(await b); // every op computes in f32
    rmSync(out, { recursive: true });
  });

  test("a model without the classifier's weights says so, and initialises them", async () => {
    const reports: string[] = [];
    const out = mkdtempSync(join(tmpdir(), "gpugrad-"));
    await (await AutoModel.fromPretrained(folder, { onReport: () => undefined })).savePretrained(out);
    await AutoModelForSequenceClassification.fromPretrained(out, { onReport: (r) => reports.push(r) });
    expect(reports[0]).toMatch(/classifier.weight +\| MISSING/);
    rmSync(out, { recursive: true });
  });

  test("other shapes are refused unless they may be initialised again", async () => {
    const quiet = { onReport: () => undefined, config: { num_labels: 3 } };
    await expect(AutoModelForSequenceClassification.fromPretrained(folder, quiet)).rejects.toThrow(
      /classifier.weight +\| MISMATCH/,
    );
    const model = await BertForSequenceClassification.fromPretrained(folder, {
      ...quiet,
      ignoreMismatchedSizes: true,
    });
    expect(model.classifier.weight.shape).toEqual([3, 8]);
  });
});
