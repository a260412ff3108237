import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as bert from "@gpugrad/bert";
import * as tensor from "@gpugrad/tensor";
import * as train from "@gpugrad/train";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dataset, tinyModel, tokenizer } from "./tiny-task.ts";

const folder = mkdtempSync(join(tmpdir(), "gpugrad-tsdoc-"));
beforeAll(async () => void (await tensor.init()));
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await tensor.destroy();
});

const src = join(import.meta.dirname, "../src");
const files = ["schedule", "optim", "trainer"]
  .flatMap((room) => readdirSync(join(src, room)).map((name) => `${room}/${name}`))
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));

/** The examples in the comments of the optimizers, schedules and the Trainer: fenced, or after an `@example`. */
const examples = files.flatMap((file) => {
  const text = readFileSync(join(src, file), "utf8").replace(/^ *\* ?/gm, "");
  const found = [...text.matchAll(/^```ts\n([^]*?)^```|^@example\n([^]*?)(?=^(?:@|\/|\n))/gm)];
  return found.map((match, i) => [`${file}, example ${i + 1}`, (match[1] ?? match[2])!] as const);
});

test("there are examples", () => expect(examples.length).toBeGreaterThanOrEqual(8));

test.each(examples)("%s runs as it is written", async (_, code) => {
  const model = tinyModel();
  const optimizer = new train.AdamW(model.namedParameters(), { lr: 1 });
  const batch = {
    input_ids: { data: Int32Array.from([1, 2, 3, 4]), shape: [1, 4] },
    labels: { data: Int32Array.from([1]), shape: [1] },
  };
  const here = {
    ...{ ...tensor, ...bert, ...train, model, optimizer, batch, tokenizer, scaler: new train.GradScaler() },
    ...{ file: join(folder, "state.safetensors"), trainDataset: dataset, evalDataset: dataset },
  };
  tensor.scope(() => model.forward(batch).loss!.backward());
  const body = code.replaceAll('"output"', JSON.stringify(join(folder, "output")));
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the examples of our own comments
  const run = new Function("here", `with (here) return (async () => { ${body}\n})()`) as (env: object) => Promise<void>;
  await run(here);
  if (code.includes("getScheduler(")) expect(optimizer.lr).toBeCloseTo(5e-5, 12);
  tensor.scope(() => optimizer.dispose());
});
