import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AutoTokenizer, BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { problemOf } from "../checkpoint/sealed-folder.ts";
import { Dataset } from "../data/dataset.ts";
import { Trainer } from "../trainer/trainer.ts";
import { stage } from "./stage.ts";

const shared = resolve(process.env["GPUGRAD_SHARED"] ?? "../shared");
const serve = join(shared, "hub", "serve.mjs");
if (!existsSync(serve)) console.warn(`skipped: no ${serve} (set GPUGRAD_SHARED to the folder of golden data)`);

describe.skipIf(!existsSync(serve))("a run of the Trainer that is pushed", () => {
  let hub: { url: string; state: string; close: () => Promise<void> };
  let outputDir: string;
  beforeAll(async () => {
    await init();
    const { startHub } = (await import(pathToFileURL(serve).href)) as { startHub: (o: object) => Promise<typeof hub> };
    hub = await startHub({ root: await mkdtemp(join(tmpdir(), "hub-root-")) });
    outputDir = await mkdtemp(join(tmpdir(), "run-"));
    vi.stubEnv("HF_ENDPOINT", hub.url);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await hub.close();
    await rm(outputDir, { recursive: true });
    await destroy();
  });

  it("has model, card, report and logs there, a checkpoint to resume from, and no token, no local path and no text of the data", async () => {
    const hubToken = "hf_writer0123456789";
    const tokenizer = await AutoTokenizer.fromPretrained(join(shared, "reference", "train", "saved-with-tokenizer"));
    manualSeed(1);
    const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
    const model = BertForSequenceClassification.fromConfig(
      new BertConfig({ ...sizes, vocab_size: 2000, max_position_embeddings: 32 }),
    );
    const rows = Array.from({ length: 16 }, (_, i) => ({ text: i % 2 ? "good film" : "bad film", label: i % 2 }));
    const data = Dataset.fromRows(rows, { name: join(outputDir, "reviews.csv") });
    const warnings: string[] = [];
    const args = {
      ...{
        outputDir,
        maxSteps: 4,
        evalStrategy: "steps",
        evalSteps: 2,
        saveSteps: 2,
        loggingSteps: 1,
        loadBestModelAtEnd: true,
      },
      ...{ reportTo: ["all"], pushToHub: true, hubModelId: "me/films", hubToken, hubStrategy: "checkpoint" },
    };
    const callbacks = [
      {
        onWarning: (...[, , , { warning }]: [unknown, unknown, unknown, { warning?: string }]) =>
          void warnings.push(warning!),
      },
    ];
    const trainer = new Trainer({ model, tokenizer, trainDataset: data, evalDataset: data, args, callbacks });
    await trainer.train();
    await writeFile(join(outputDir, "predictions.csv"), "text,label\ngood film,1\n");
    await writeFile(join(outputDir, "notes.md"), "of good films");
    await trainer.saveModel();

    expect(warnings).toEqual([]);
    const there = join(hub.state, "models", "me", "films");
    const entries = (await readdir(there, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const names = entries.map((entry) => relative(there, join(entry.parentPath, entry.name)));
    const wanted = ["README.md", "config.json", "log.csv", "log.jsonl", "model.safetensors", "report.html", "tokenizer.json", "training_args.json"]; // prettier-ignore
    expect(names).toEqual(expect.arrayContaining(wanted));
    expect(names.filter((name) => name.startsWith("runs/"))).toHaveLength(1);
    expect(await problemOf(join(there, "last-checkpoint"))).toBeUndefined();
    expect(await readFile(join(there, "model.safetensors"))).toEqual(
      await readFile(join(outputDir, "model.safetensors")),
    );
    for (const name of names) {
      const bytes = await readFile(join(there, name), "latin1");
      for (const secret of [hubToken, outputDir, `${homedir()}/`, "good film", "bad film"])
        expect([name, bytes.includes(secret)]).toEqual([name, false]);
    }
    expect(names).not.toContain("predictions.csv");
    const report = await readFile(join(there, "report.html"), "utf8");
    expect(report).toContain("Most confident mistakes");
    const local = await readFile(join(outputDir, "report.html"), "utf8");
    expect(local).toMatch(/good film|bad film/);

    const asked = await stage(outputDir, { checkpoints: {}, texts: true });
    expect(await readFile(join(asked.folder, "report.html"), "utf8")).toBe(local);
    expect([existsSync(join(asked.folder, "predictions.csv")), asked.leftOut]).toEqual([true, []]);
    const { leftOut } = await stage(outputDir, { checkpoints: {}, texts: false });
    expect(leftOut.sort()).toEqual(["notes.md", "predictions.csv"]);
  });
});
