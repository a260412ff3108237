import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { BertConfig } from "@gpugrad/bert";
import { trainWordPiece } from "@gpugrad/train";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { trainCommand } from "./train-command.ts";

const serve = join(resolve(process.env["GPUGRAD_SHARED"] ?? "../shared"), "hub", "serve.mjs");
if (!existsSync(serve)) console.warn(`skipped: no ${serve} (set GPUGRAD_SHARED to the folder of golden data)`);

describe.skipIf(!existsSync(serve))("gpugrad train --push_to_hub", () => {
  const work = mkdtempSync(join(tmpdir(), "gpugrad-push-"));
  let hub: { url: string; state: string; close: () => Promise<void> };
  beforeAll(async () => {
    const { startHub } = (await import(pathToFileURL(serve).href)) as { startHub: (o: object) => Promise<typeof hub> };
    hub = await startHub({ root: join(work, "hub") });
    vi.stubEnv("HF_ENDPOINT", hub.url);
    vi.stubEnv("HF_TOKEN", "hf_writer0123456789");
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await hub.close();
    rmSync(work, { recursive: true, force: true });
  });

  it("uploads results and test metrics too, and says of files of data their names alone", async () => {
    const texts = Array.from({ length: 16 }, (_, i) => `${i % 2 ? "a fine film" : "a dull story"} ${i}`);
    const tokenizer = trainWordPiece(texts, { vocabSize: 80, maxLength: 16 });
    const model = join(work, "base");
    await tokenizer.savePretrained(model);
    const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
    await new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 16 }).savePretrained(model); // prettier-ignore
    const folder = join(work, "clients", "acme");
    mkdirSync(folder, { recursive: true });
    const files = ["train", "validation", "test"].flatMap((split) => {
      const file = join(folder, `${split}.csv`);
      writeFileSync(file, `text,label\n${texts.map((text, i) => `${text},${i % 2 ? "good" : "bad"}`).join("\n")}\n`);
      return [`--${split}_file`, relative(process.cwd(), file)];
    });
    const words = ["--model", relative(process.cwd(), model), "--from_scratch", "--max_steps", "1", "--quiet"];
    const push = ["--push_to_hub", "--hub_model_id", "me/films", "--output_dir", join(work, "out")];
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const plain = { name: "train", description: "", defaults: () => ({}) };
    const code = await trainCommand([...words, ...files, ...push], plain);
    vi.restoreAllMocks();
    expect(code).toBe(0);

    const there = join(hub.state, "models", "me", "films");
    const names = readdirSync(there);
    const results = ["train_results.json", "eval_results.json", "test_results.json", "all_results.json"];
    expect(names).toEqual(expect.arrayContaining([...results, "README.md", "model.safetensors", "train_config.json"]));
    expect(readFileSync(join(there, "README.md"), "utf8")).toContain("On the test set it has:");
    expect(JSON.parse(readFileSync(join(there, "all_results.json"), "utf8"))).toHaveProperty("test_accuracy");
    expect(JSON.parse(readFileSync(join(there, "train_config.json"), "utf8"))).toMatchObject({
      ...{ model: "base", train_file: "train.csv", validation_file: "validation.csv", test_file: "test.csv" },
      output_dir: "out",
    });
    for (const name of names.filter((name) => /\.(json|md|csv|jsonl|html)$/.test(name)))
      expect([name, readFileSync(join(there, name), "utf8").includes("acme")]).toEqual([name, false]);
  });
});
