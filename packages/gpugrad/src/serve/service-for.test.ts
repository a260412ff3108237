import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { serviceFor } from "./service-for.ts";

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), "service-"))));
afterEach(() => rm(folder, { recursive: true }));

const save = (architecture?: string): Promise<void> =>
  writeFile(
    join(folder, "config.json"),
    JSON.stringify({ model_type: "bert", ...(architecture && { architectures: [architecture] }) }),
  );

it.each([
  ["BertForSequenceClassification", "text-classification"],
  ["BertForTokenClassification", "token-classification"],
  ["BertForQuestionAnswering", "question-answering"],
  ["BertForMaskedLM", "fill-mask"],
  ["BertForPreTraining", "fill-mask"],
  ["BertModel", "sentence-embeddings"],
  [undefined, "text-classification"],
])("%s is served for %s", async (architecture, task) => {
  await save(architecture);
  expect((await serviceFor(folder, undefined)).name).toBe(task);
});

it("what sentence-transformers saved is for embeddings, and what is asked for comes first", async () => {
  await save("BertForMaskedLM");
  await writeFile(join(folder, "modules.json"), "[]");
  expect((await serviceFor(folder, undefined)).name).toBe("sentence-embeddings");
  expect((await serviceFor(folder, "fill-mask")).name).toBe("fill-mask");
});

it("another head is refused, with the tasks there are", async () => {
  await save("BertForMultipleChoice");
  await expect(serviceFor(folder, undefined)).rejects.toThrow(
    /is a BertForMultipleChoice, which is not served. --task names one of text-classification, token-classification/,
  );
});
