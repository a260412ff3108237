import { AutoModelForSequenceClassification } from "@gpugrad/bert";
import { destroy, fromArray, init } from "@gpugrad/tensor";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTextModel } from "./text-model.ts";

const tinyBert = fileURLToPath(new URL("../../../bert/test/fixtures/tiny-bert", import.meta.url));

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "text-model-"));
  await cp(tinyBert, dir, { recursive: true });
  const words = Array.from({ length: 15 }, (_, i) => `t${i + 5}`);
  await writeFile(join(dir, "vocab.txt"), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words, ""].join("\n"));
  await init();
});
afterAll(async () => {
  await destroy();
  await rm(dir, { recursive: true });
});

it.each(["left", "right"])("numbers of tokens are those of each text, without padding on the %s", async (side) => {
  await writeFile(join(dir, "tokenizer_config.json"), JSON.stringify({ padding_side: side }));
  const model = await openTextModel(
    dir,
    {
      open: (folder, { say }) => AutoModelForSequenceClassification.fromPretrained(folder, { onReport: say }),
      /** Each token is its id and ten times that. */
      compute: (_, { input_ids: { data, shape } }) =>
        fromArray(Float32Array.from([...data].flatMap((id) => [id, 10 * id])), [...shape, 2]),
      perToken: true,
    },
    { say: () => undefined },
  );
  const values = await model.compute(await model.encode([{ text: "t5" }, { text: "t6 t7 t8" }, { text: "" }]));
  expect(values.map((row) => [...row])).toEqual([
    [2, 20, 5, 50, 3, 30],
    [2, 20, 6, 60, 7, 70, 8, 80, 3, 30],
    [2, 20, 3, 30],
  ]);
});
