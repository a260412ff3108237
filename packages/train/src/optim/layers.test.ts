import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, device, init, manualSeed, ones, scope, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clipGradNorm } from "./clip.ts";
import { freeze, layerwiseLrDecay } from "./layers.ts";
import { noDecayGroups, type ParamGroup, type OptimizerOptions } from "./groups.ts";
import { SGD } from "./sgd.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

function tinyModel(layers = 3): BertForSequenceClassification {
  manualSeed(1);
  const sizes = { vocab_size: 20, hidden_size: 8, num_attention_heads: 2, intermediate_size: 16 };
  return BertForSequenceClassification.fromConfig(
    new BertConfig({ ...sizes, num_hidden_layers: layers, max_position_embeddings: 8, initializer_range: 0.5 }),
  );
}

const INPUTS = { input_ids: { data: [1, 2, 3, 4, 5, 6], shape: [2, 3] }, labels: { data: [0, 1], shape: [2] } };

/** Forward and backward: dispatches of each. */
function dispatches(model: BertForSequenceClassification): { forward: number; backward: number } {
  const { queue } = device();
  return scope(() => {
    const start = queue.dispatched;
    const loss = model.forward(INPUTS).loss!;
    const between = queue.dispatched;
    loss.backward();
    return { forward: between - start, backward: queue.dispatched - between };
  });
}

const namesOf = (groups: ParamGroup<OptimizerOptions>[]): string[] =>
  groups.flatMap(({ params }) => Array.from(params, ([name]) => name));

describe("rates of groups", () => {
  const bytes = (p: Tensor): Promise<ArrayLike<number>> => p.data();

  test("follow the optimizer's by their factor, or by the ratio that their own rate had to it at first", () =>
    scope(async () => {
      const model = tinyModel(1);
      const [base, scaled, own, fixed] = model.parameters() as [Tensor, Tensor, Tensor, Tensor];
      const optimizer = new SGD(
        [
          { params: [["base", base]] },
          { params: [["scaled", scaled]], options: { lrScale: 0.25 } },
          { params: [["own", own]], options: { lr: 2 } },
          { params: [["fixed", fixed]], options: { lr: 0 } },
        ],
        { lr: 4 },
      );
      optimizer.lr = 8; // a power of two, like the gradients: differences are exact
      const all = [base, scaled, own, fixed];
      for (const p of all) p.write(new Float32Array(p.size));
      for (const p of all) p.grad = ones(p.shape);
      optimizer.step();
      expect(await Promise.all(all.map(async (p) => (await bytes(p))[0]))).toEqual([-8, -2, -4, 0]);
      optimizer.dispose();
      model.dispose();
    }));

  test("layer-wise decay: the head at 1, embeddings lowest, and no decay of biases beside it", () => {
    const model = tinyModel(3);
    const groups = noDecayGroups(layerwiseLrDecay(model.namedParameters(), { decay: 0.5 }));
    const scales = new Map(groups.flatMap((g) => Array.from(g.params, ([name]) => [name, g.options] as const)));
    expect(scales.get("classifier.weight")).toEqual({ lrScale: 1 });
    expect(scales.get("bert.pooler.dense.bias")).toEqual({ lrScale: 1, weightDecay: 0 });
    expect(scales.get("bert.encoder.layer.2.output.dense.weight")).toEqual({ lrScale: 0.5 });
    expect(scales.get("bert.encoder.layer.0.attention.output.LayerNorm.weight")).toEqual({ lrScale: 0.125, weightDecay: 0 }); // prettier-ignore
    expect(scales.get("bert.embeddings.word_embeddings.weight")).toEqual({ lrScale: 0.0625 });
    expect(namesOf(groups).sort()).toEqual([...model.namedParameters()].map(([name]) => name).sort());
    expect(groups.length).toBe(10);
    model.dispose();
  });

  test("errors", () => {
    const model = tinyModel(1);
    const params = [...model.namedParameters()];
    for (const decay of [1.5, 0, -0.5, NaN])
      expect(() => layerwiseLrDecay(params, { decay })).toThrow(`decay is ${decay}, but it lies above 0 and up to 1`);
    const even = layerwiseLrDecay(params, { decay: 1 }).map(({ options }) => options!.lrScale ?? 1);
    expect(new Set(even)).toEqual(new Set([1]));
    expect(() => layerwiseLrDecay([["head.weight", params[0]![1]]], { decay: 0.9 })).toThrow("(head.weight, …) is of");
    expect(() => new SGD([{ params, options: { lr: 1, lrScale: 2 } }])).toThrow("SGD: a group has lr 1 and lrScale 2");
    expect(() => new SGD([{ params, options: { lr: 1 } }], { lr: 0 })).toThrow(
      "lr only where the optimizer's is above 0",
    );
    model.dispose();
  });
});

describe("freeze", () => {
  test("by names of parameters and modules, globs and regular expressions", () => {
    const model = tinyModel(3);
    const layer = (i: number): number => [...model.namedParameters()].filter(([n]) => n.includes(`.layer.${i}.`)).length; // prettier-ignore
    expect(freeze(model, ["classifier.bias"])).toEqual(["classifier.bias"]);
    expect(freeze(model, ["bert.embeddings"]).length).toBe(5);
    expect(freeze(model, ["bert.embeddings.*"]).length).toBe(5);
    expect(freeze(model, ["bert.encoder.layer.[0-1].*"]).length).toBe(layer(0) + layer(1));
    expect(freeze(model, ["bert.encoder.layer.{0,2}"]).length).toBe(layer(0) + layer(2));
    expect(freeze(model, ["/query|key/", /value\.bias$/]).length).toBe(3 * 5);
    expect(freeze(model, ["bert.encoder.layer.1", "bert.encoder.layer.?.output.dense.bias"]).length).toBe(layer(1) + 2);
    model.dispose();
  });

  test("a pattern that fits nothing names what is most like it", () => {
    const model = tinyModel(1);
    expect(() => freeze(model, ["bert.embedings.*"])).toThrow(
      /freeze: bert\.embedings\.\* fits no parameter\. Most like it: bert\.embeddings, /,
    );
    expect(() => freeze(model, ["bert.encoder.layer.[3-5]"])).toThrow("fits no parameter");
    expect(() => freeze(model, ["bert"])).not.toThrow();
    model.dispose();
  });

  test("nothing is computed for what is frozen; the rest gets the same gradients, and is clipped and trained", () =>
    scope(async () => {
      const [whole, part] = [tinyModel(), tinyModel()];
      const all = dispatches(whole);
      const frozen = freeze(part, ["bert.embeddings", "bert.encoder.layer.[0-1]", "bert.encoder.layer.2.output.dense.weight"]); // prettier-ignore
      const some = dispatches(part);
      expect(some.forward).toBe(all.forward);
      expect(some.backward).toBeLessThan(all.backward / 2);
      const named = new Map(whole.namedParameters());
      for (const [name, p] of part.namedParameters()) {
        if (frozen.includes(name)) expect(p.grad).toBeNull();
        else expect(await p.grad!.data(), name).toEqual(await named.get(name)!.grad!.data());
      }
      const before = await named.get(frozen[0]!)!.data();
      const optimizer = new SGD(noDecayGroups(part.namedParameters()), { lr: 1 });
      expect(optimizer.parameters.length).toBe(named.size - frozen.length);
      const gradients = part.parameters().flatMap((p) => p.grad ?? []);
      const values = (await Promise.all(gradients.map((g) => g.data()))).flatMap((each) => Array.from(each));
      const norm = await clipGradNorm(part.parameters(), 0.01).item();
      expect(norm).toBeCloseTo(Math.hypot(...values), 5);
      optimizer.step();
      expect(await new Map(part.namedParameters()).get(frozen[0]!)!.data()).toEqual(before);

      freeze(part, ["bert"]); // only the classifier is left: its backward is one op's
      part.zeroGrad();
      expect(dispatches(part).backward).toBeLessThan(8);
      optimizer.dispose();
      whole.dispose();
      part.dispose();
    }));
});
