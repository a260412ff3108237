import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import "@gpugrad/autograd";
import { destroy, init, scope } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { draw, generate, nextTokenLoss } from "./decoder.ts";
import { openDecoder } from "./open.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const root = join(dirname(fileURLToPath(import.meta.url)), "../fixtures/decoders");

interface Expected {
  input_ids: number[][];
  logits: number[][][];
  loss: number;
  gradient: { of: string; values: number[][] };
  greedy: number[][];
}

const expectNear = (got: ArrayLike<number>, want: number[]): void => {
  const worst = want.findIndex((w, i) => !(Math.abs(got[i]! - w) <= 2e-5 + 1e-4 * Math.abs(w)));
  if (worst >= 0 || got.length !== want.length) expect.fail(`element ${worst} is ${got[worst]}, not ${want[worst]}`);
};

test.each(["gpt2", "llama"])("%s gives Transformers' logits, loss, gradient and tokens", async (name) => {
  const folder = join(root, name);
  const want = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected;
  const model = await openDecoder(folder);
  await scope(async () => {
    const { logits } = model.forward(want);
    const loss = nextTokenLoss(logits, want.input_ids);
    loss.backward();
    expectNear(await logits.data(), want.logits.flat(2));
    expectNear(await loss.data(), [want.loss]);
    const { grad } = new Map(model.namedParameters()).get(want.gradient.of)!;
    expectNear(await grad!.data(), want.gradient.values.flat());
    expect(await generate(model, want, { most: 6 })).toEqual(want.greedy);
    // Padding on the left changes nothing.
    const padded = want.input_ids.map((row) => [0, 0, ...row]);
    const attention_mask = padded.map((row) => row.map((_, t) => (t < 2 ? 0 : 1)));
    expect(await generate(model, { input_ids: padded, attention_mask }, { most: 6 })).toEqual(want.greedy);
    // A row that has ended is padded, and all stops when all have.
    const eos = want.greedy[0]![2]!;
    const [ended] = await generate(model, { input_ids: [want.input_ids[0]!] }, { most: 6, eos });
    expect(ended).toEqual(want.greedy[0]!.slice(0, want.greedy[0]!.indexOf(eos) + 1));
  });
  model.dispose();
});

test("a draw is the first token whose running sum exceeds the number", () => {
  expect([0, 0.24, 0.25, 0.74, 0.99].map((u) => draw([0.25, 0.5, 0, 0.25], u))).toEqual([0, 0, 1, 1, 3]);
});
