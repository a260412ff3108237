import { noGrad } from "@gpugrad/autograd";
import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import {
  add,
  copyInto,
  defaultGenerator,
  destroy,
  device,
  DeviceLostError,
  fromArray,
  init,
  keep,
  manualSeed,
  memory,
  mul,
  record,
  scope,
  sub,
  tensor,
  zerosLike,
  type GeneratorState,
  type Tensor,
} from "@gpugrad/tensor";
import { afterEach, beforeEach, expect, test } from "vitest";
import { restore, snapshot, type Snapshot } from "./snapshot.ts";

beforeEach(async () => void (await init()));
afterEach(destroy);

const config = new BertConfig({
  vocab_size: 30,
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 32,
  max_position_embeddings: 8,
});

/** A classifier, and SGD with momentum written out: its state is restored with the parameters. */
function training(): { model: BertForSequenceClassification; all: [string, Tensor][]; step: (i: number) => Tensor } {
  manualSeed(3);
  const model = BertForSequenceClassification.fromConfig(config).train();
  const pairs = [...model.namedParameters()].map(
    ([name, parameter]) => [name, parameter, keep(zerosLike(parameter))] as const,
  );
  const step = (i: number): Tensor =>
    scope(() => {
      const ids = Array.from({ length: 16 }, (_, k) => (7 * i + 5 * k) % 30);
      const { loss } = model.forward({ input_ids: { data: ids, shape: [2, 8] }, labels: [i % 2, 1] });
      loss!.backward();
      noGrad(() => {
        for (const [, parameter, momentum] of pairs) {
          if (!parameter.grad) continue;
          copyInto(momentum, add(mul(momentum, 0.9), parameter.grad));
          copyInto(parameter, sub(parameter, mul(momentum, 0.1)));
        }
      });
      model.zeroGrad();
      return loss!;
    });
  const all = pairs.flatMap(([name, parameter, momentum]): [string, Tensor][] => [
    [name, parameter],
    [`momentum.${name}`, momentum],
  ]);
  return { model, all, step };
}

const flat = (saved: Snapshot): string => [...saved].map(([k, v]) => `${k} ${Buffer.from(v).toString("hex")}`).join();

test("training continues to the same bytes after its device was lost", async () => {
  const undisturbed = training();
  for (let i = 0; i < 5; i++) undisturbed.step(i).dispose();
  const want = await snapshot(undisturbed.all);
  await destroy();

  await init();
  const { model, all, step } = training();
  let saved: { at: number; values: Snapshot; generator: GeneratorState } | undefined;
  const losses: Error[] = [];
  for (let i = 0; i < 5; i++) {
    try {
      if (i === 2) saved = { at: i, values: await snapshot(all), generator: defaultGenerator.state };
      const loss = step(i);
      if (i === 3 && losses.length === 0) device().gpu.destroy(); // as a driver's reset would
      await loss.item();
      loss.dispose();
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      losses.push(error);
      await init();
      expect(memory().storages, "what lived on the lost device doesn't count").toBe(0);
      restore(all, saved!.values);
      defaultGenerator.setState(saved!.generator);
      i = saved!.at - 1;
    }
  }
  expect(losses.map(String)).toEqual([expect.stringContaining("the GPU device was lost")]);
  expect(flat(await snapshot(all))).toBe(flat(want));
  const before = memory().storages;
  expect(before).toBe(all.length);
  for (const [, t] of all) t.dispose();
  expect(memory().storages).toBe(0);
  expect(model.parameters().every((p) => p.disposed)).toBe(true);
});

test("all who wait for a lost device get its error, and what is disposed afterwards does no harm", async () => {
  const x = tensor([1, 2]);
  const { result, recording } = record(() => scope(() => add(x, 1)));
  const old = device();
  const waiting = [x.data(), old.finish()];
  old.gpu.destroy();
  for (const outcome of await Promise.allSettled(waiting)) {
    expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(DeviceLostError);
  }
  await expect(x.data()).rejects.toBeInstanceOf(DeviceLostError);
  expect(() => tensor([1])).toThrow(DeviceLostError);
  const saved = new Map([["x", new Uint8Array(8)]]);
  expect(() => restore([["x", x]], saved)).toThrow(DeviceLostError); // init() comes first
  await init();
  restore([["x", x]], saved);
  recording.dispose();
  result.dispose();
  expect([...(await x.data())]).toEqual([0, 0]);
  x.dispose();
  expect(memory().storages).toBe(0);
});

test("restore: in place on the same device, of 16 bits and an odd count, with gradients forgotten", async () => {
  const x = fromArray([1, 2, 3], [3], "f16");
  const w = tensor([2]).requireGrad();
  mul(w, w).backward();
  const saved = await snapshot([["x", x], ["w", w]]); // prettier-ignore
  const { storage } = w;
  w.write([5]);
  restore([["x", x], ["w", w]], saved); // prettier-ignore
  expect(w.storage).toBe(storage);
  expect(w.grad).toBeNull();
  await destroy();
  await init();
  restore([["x", x], ["w", w]], saved); // prettier-ignore
  expect([...(await x.data())]).toEqual([1, 2, 3]);
  mul(w, w).backward(); // still a leaf
  expect(await w.grad!.item()).toBe(4);
  expect(() => restore([["x", x], ["y", w]], saved)).toThrow("restore: the snapshot has no y."); // prettier-ignore
  expect(() => restore([["w", w]], new Map([["w", new Uint8Array(8)]]))).toThrow("restore: 8 bytes for the 4 of");
});
