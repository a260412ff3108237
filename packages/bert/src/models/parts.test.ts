import {
  Dropout,
  Embedding,
  folderOf,
  LayerNorm,
  Linear,
  serializeSafetensors,
  type Fusion,
  type Module,
} from "@gpugrad/nn";
import { destroy, init, manualSeed, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BertConfig } from "./bert/bert-config.ts";
import { BertForMaskedLM, BertForSequenceClassification } from "./bert/bert-heads.ts";
import { PreTrainedModel } from "./pretrained.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

test("train and eval reach every part, and so does what is put in place of one", () => {
  const config = new BertConfig({ vocab_size: 9, hidden_size: 4, num_hidden_layers: 2, num_attention_heads: 1, intermediate_size: 4, max_position_embeddings: 4 }); // prettier-ignore
  const model = BertForSequenceClassification.fromConfig(config);
  const modes = () => {
    const of = (module: Module): boolean[] => [module.training, ...Array.from(module.children(), ([, child]) => of(child)).flat()]; // prettier-ignore
    return [...new Set(of(model))];
  };
  expect([modes(), model.train(), modes(), model.eval(), modes()]).toEqual([[false], model, [true], model, [false]]);
  model.train().replace("bert.encoder.layer.1.output.dense", new Linear(4, 4));
  expect(modes()).toEqual([true]);
  model.dispose();
});

describe("parts of a model compute by their own forward", () => {
  const values = {
    vocab_size: 20,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 32,
  };
  const config = () => new BertConfig({ ...values, max_position_embeddings: 8, initializer_range: 0.3 });
  const inputs = { input_ids: [[2, 5, 0]], token_type_ids: [[0, 1, 0]], attention_mask: [[1, 1, 0]] };
  const kinds = [Linear, LayerNorm, Embedding, Dropout];

  /** All parts of these kinds, by path. */
  function parts(module: Module, prefix = ""): [path: string, part: Module][] {
    return Array.from(module.children()).flatMap(([name, child]) => [
      ...(kinds.some((kind) => child instanceof kind) ? [[prefix + name, child] as [string, Module]] : []),
      ...parts(child, `${prefix}${name}.`),
    ]);
  }

  test.each([BertForSequenceClassification, BertForMaskedLM])("%o", async (Model) => {
    manualSeed(5);
    const model = Model.fromConfig<BertForSequenceClassification | BertForMaskedLM>(config());
    const want = await model.forward(inputs).logits.data();
    const called = new Set<string>();
    /** A linear layer with the weights of another, which says when it is called. */
    class Counting extends Linear {
      readonly #path: string;
      constructor({ weight, bias }: Linear, path: string) {
        super(weight.shape[1]!, weight.shape[0]!, true, { weight, bias });
        this.#path = path;
      }
      override forward(x: Tensor, fusion?: Fusion): Tensor {
        called.add(this.#path);
        return super.forward(x, fusion);
      }
    }
    const linears = parts(model).filter((entry): entry is [string, Linear] => entry[1] instanceof Linear);
    for (const [path, part] of linears) model.replace(path, new Counting(part, path));
    expect(await model.forward(inputs).logits.data()).toEqual(want); // bit for bit
    expect(linears.length).toBeGreaterThan(12);
    expect([...called].sort()).toEqual(linears.map(([path]) => path).sort());

    for (const [path, part] of parts(model)) {
      const own = part as Module & { forward: (...args: unknown[]) => unknown };
      const forward = own.forward.bind(own);
      own.forward = (...args) => (called.add(path), forward(...args));
    }
    const got = await model.forward(inputs).logits.data();
    const inAttention = /attention\.self\.dropout$/; // of the probabilities, which are never written
    expect([...called].sort()).toEqual(parts(model).map(([path]) => path).filter((path) => !inAttention.test(path)).sort()); // prettier-ignore
    for (const [i, value] of want.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(1e-4);
  });

  test("an adapted layer that knows nothing of fused activations still gets its activation", async () => {
    /** A layer whose output is that of another, unchanged. */
    class Adapted extends Linear {
      readonly base: Linear;
      constructor(base: Linear) {
        super(base.weight.shape[1]!, base.weight.shape[0]!);
        this.base = base;
      }
      override forward(x: Tensor): Tensor {
        return this.base.forward(x);
      }
    }
    const model = BertForSequenceClassification.fromConfig(config());
    const want = await model.forward(inputs).logits.data();
    const path = "bert.encoder.layer.1.intermediate.dense";
    const base = model.bert.encoder.layer[1]!.intermediate.dense;
    const adapted = new Adapted(base);
    expect(model.replace(path, adapted)).toBe(base);
    expect(model.bert.encoder.layer[1]!.intermediate.dense).toBe(adapted);
    const got = await model.forward(inputs).logits.data();
    for (const [i, value] of want.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(1e-5);
    expect(() => model.replace("bert.encoder.layer.7.output", adapted)).toThrow(
      /replace: BertForSequenceClassification has no part "bert.encoder.layer.7.output"/,
    );
    expect(() => model.replace("config", adapted)).toThrow(/has no part "config"/);
  });

  test("attention drops nothing in evaluation, whether its probabilities are asked for or not", async () => {
    const model = BertForSequenceClassification.fromConfig(
      new BertConfig({
        ...values,
        max_position_embeddings: 8,
        attention_probs_dropout_prob: 0.5,
        initializer_range: 0.3,
      }),
    );
    const of = async (outputAttentions: boolean) =>
      (await model.forward(inputs, { outputAttentions }).logits.data()).slice();
    const [plain, first, second] = [await of(false), await of(true), await of(true)];
    expect(second).toEqual(first);
    for (const [i, value] of plain.entries()) expect(Math.abs(first[i]! - value)).toBeLessThan(1e-5);
    model.train();
    expect(await of(true)).not.toEqual(await of(true));
  });
});

test("sizes that the weights do not have are refused before they fill the memory", async () => {
  const pieces: Uint8Array[] = [];
  const one = { name: "bert.embeddings.LayerNorm.weight", dtype: "F32" as const, shape: [1], bytes: new Uint8Array(4) };
  for await (const piece of serializeSafetensors([one])) pieces.push(piece);
  const folder = folderOf(
    {
      "config.json": JSON.stringify({ model_type: "bert", vocab_size: 1e7, hidden_size: 6144, num_attention_heads: 2 }),
      "model.safetensors": new Blob(pieces as BlobPart[]),
    },
    "here",
  );
  await expect(BertForSequenceClassification.fromPretrained(folder)).rejects.toThrow(
    /here: config: its sizes make a model of more than \d+ parameters, far more than the checkpoint has/,
  );
});

test("a class of models that does not name its configuration's class is refused", async () => {
  class Own extends PreTrainedModel {}
  await expect(Own.fromPretrained("nowhere")).rejects.toThrow(
    "fromPretrained: Own has no static Config, the class of its configuration.",
  );
});
