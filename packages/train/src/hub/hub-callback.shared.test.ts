import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { drive, type Drive } from "../../test/drive.ts";
import { pythonWith } from "../../../../scripts/python-for-tests.ts";
import { problemOf, writeSealedFolder } from "../checkpoint/sealed-folder.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { hubCallback } from "./hub-callback.ts";

interface LocalHub {
  url: string;
  state: string;
  log: { method: string; url: string; status: number }[];
  close: () => Promise<void>;
}

const shared = resolve(process.env["GPUGRAD_SHARED"] ?? "../shared");
const serve = join(shared, "hub", "serve.mjs");
const saved = join(shared, "reference", "train", "saved-with-tokenizer");
if (!existsSync(serve)) console.warn(`skipped: no ${serve} (set GPUGRAD_SHARED to the folder of golden data)`);

const hubToken = "hf_writer0123456789";

/** Waits for what happens beside training, however slow the machine is. */
const soon = (holds: () => unknown) => vi.waitFor(holds, { timeout: 30_000 });

describe.skipIf(!existsSync(serve))("hubCallback", () => {
  let hub: LocalHub;
  let outputDir: string;
  let warn: ReturnType<typeof vi.fn<(message: string) => void>>;
  let count = 0;
  let hubModelId: string;

  beforeAll(async () => {
    const { startHub } = (await import(pathToFileURL(serve).href)) as { startHub: (o: object) => Promise<LocalHub> };
    hub = await startHub({ root: await mkdtemp(join(tmpdir(), "hub-root-")) });
  });
  afterAll(() => hub.close());
  beforeEach(async () => {
    outputDir = await mkdtemp(join(tmpdir(), "run-"));
    hubModelId = `me/run-${++count}`;
    warn = vi.fn();
    vi.stubEnv("HF_TOKEN", "");
    vi.stubEnv("HF_HOME", outputDir);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
    return rm(outputDir, { recursive: true });
  });

  function start(given: Partial<TrainingArguments>, endpoint = hub.url) {
    const args = { outputDir, hubToken, hubModelId, pushToHub: true, ...given };
    const callback = hubCallback({
      outputDir,
      args: drive([], args).args,
      warn,
      endpoint,
      retryMs: 5,
      onProgress: () => undefined,
    });
    return { callback, run: drive([callback], args) };
  }

  /** A checkpoint as the Trainer writes it, with paths as a user may give them. */
  async function save(run: Drive, step: number): Promise<void> {
    const path = join(outputDir, `checkpoint-${step}`);
    await writeSealedFolder(path, async (aside) => {
      await writeFile(join(aside, "config.json"), '{"model_type":"bert"}');
      await writeFile(join(aside, "model.safetensors"), `weights ${step}`);
      await writeFile(join(aside, "optimizer.safetensors"), `moments ${step}`);
      await writeFile(join(aside, "progress.json"), "{}");
      await writeFile(join(aside, "trainer_state.json"), JSON.stringify({ best_model_checkpoint: path, step }));
    });
    await run.save(step, path);
  }
  const there = () => join(hub.state, "models", hubModelId);
  const names = async () =>
    (await readdir(there(), { recursive: true })).filter((name) => !/^\.(gitattributes|hub\.json)$/.test(name)).sort();
  const content = (name: string) => readFile(join(there(), name), "utf8");
  const commits = () => hub.log.filter(({ url }) => url.includes(`${hubModelId}/commit/`)).length;
  /** Until what the callback does beside training is over. */
  const quiet = () => soon(async () => expect((await readdir(outputDir)).filter((n) => n.startsWith(".push-"))).toEqual([])); // prettier-ignore

  it("makes the repository before training", async () => {
    const { run } = start({ hubPrivateRepo: true });
    await run.begin();
    await soon(async () => expect(JSON.parse(await content(".hub.json"))).toEqual({ private: true }));
  });

  it("uploads each checkpoint's model, leaves one out that comes meanwhile, and all at the end", async () => {
    const { callback, run } = start({ hubStrategy: "every_save" });
    await writeFile(
      join(outputDir, "training_args.json"),
      JSON.stringify({ output_dir: outputDir, hub_token: hubToken }),
    );
    const network = fetch;
    let open!: () => void;
    const gate = new Promise<void>((resolve) => (open = resolve));
    vi.stubGlobal("fetch", (...request: Parameters<typeof fetch>) => gate.then(() => network(...request)));
    await save(run, 2);
    await save(run, 4);
    await rm(join(outputDir, "checkpoint-2"), { recursive: true }); // makes room, while it is uploaded
    open();
    await quiet();
    expect(await names()).toEqual(["config.json", "model.safetensors", "training_args.json"]);
    expect(await content("model.safetensors")).toBe("weights 2");
    await save(run, 6);
    await quiet();
    expect(await content("model.safetensors")).toBe("weights 6");

    await writeFile(join(outputDir, "model.safetensors"), "the best weights");
    await writeFile(join(outputDir, "README.md"), "# Mine\n");
    await run.end();
    const pushed = await callback.push();
    expect(pushed?.sent).toEqual(["README.md", "model.safetensors"]);
    expect(await content("model.safetensors")).toBe("the best weights");
    expect(commits()).toBe(3);
    expect(warn.mock.calls).toEqual([]);
    for (const name of await names()) {
      const text = await content(name);
      expect([name, text.includes(outputDir), text.includes(hubToken)]).toEqual([name, false, false]);
    }
  });

  it("checkpoint: the newest one can be resumed from when it is downloaded", async () => {
    const { callback, run } = start({ hubStrategy: "checkpoint" });
    for (const step of [2, 4]) {
      await save(run, step);
      await quiet();
    }
    const last = join(there(), "last-checkpoint");
    expect((await readdir(last)).sort()).toEqual(["checksums.json", "config.json", "model.safetensors", "optimizer.safetensors", "progress.json", "trainer_state.json"]); // prettier-ignore
    expect(await problemOf(last)).toBeUndefined();
    expect(JSON.parse(await content("last-checkpoint/trainer_state.json"))).toEqual({
      best_model_checkpoint: "checkpoint-4",
      step: 4,
    });
    expect(await problemOf(join(outputDir, "checkpoint-4"))).toBeUndefined(); // its own files are as they were
    expect((await callback.push())?.sent).toEqual([]);
  });

  it("all_checkpoints: each under its own name; end: nothing before the end", async () => {
    const all = start({ hubStrategy: "all_checkpoints" });
    await save(all.run, 2);
    await quiet();
    await save(all.run, 4);
    await quiet();
    expect((await names()).filter((name) => name.endsWith("optimizer.safetensors"))).toEqual(["checkpoint-2/optimizer.safetensors", "checkpoint-4/optimizer.safetensors"]); // prettier-ignore

    hubModelId += "-end";
    const atEnd = start({ hubStrategy: "end", hubRevision: "wip" });
    await save(atEnd.run, 6);
    expect(existsSync(there())).toBe(false);
    await writeFile(join(outputDir, "model.safetensors"), "weights");
    expect(await atEnd.callback.push("Mine")).toMatchObject({
      sent: ["model.safetensors"],
      url: expect.stringMatching(/\/tree\/wip$/) as unknown,
    });
  });

  it("training continues without the Hub, and the user is shown once how to upload later", async () => {
    const refused = start({ hubToken: "hf_reader" });
    await refused.run.begin();
    await soon(() => expect(warn).toHaveBeenCalled());
    await save(refused.run, 2);
    await quiet();
    expect(await refused.callback.push()).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]![0]).toMatch(
      /^push to hub: me\/run-\d+: the token may not write there .* later, with pushToHub\(".*", { repo: "me\/run-\d+" }\)\.$/,
    );

    const down = start({}, "http://127.0.0.1:9");
    await save(down.run, 4);
    expect(await down.callback.push()).toBeUndefined();
    expect(warn.mock.calls.at(-1)![0]).toContain("cannot reach http://127.0.0.1:9");
    const withoutToken = start({ hubToken: null });
    expect(await withoutToken.callback.push()).toBeUndefined();
    expect(warn.mock.calls.at(-1)![0]).toContain("no token to upload with");
    await quiet();
  });

  const python = pythonWith("transformers", "torch");
  it.skipIf(!python || !existsSync(saved))("what is pushed is opened by Transformers", async () => {
    await mkdir(join(outputDir, "model"));
    const folder = join(outputDir, "model");
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      await copyFile(join(saved, name), join(folder, name));
    const args = drive([], { outputDir: folder, hubToken, hubModelId }).args;
    const callback = hubCallback({ outputDir: folder, args, warn, endpoint: hub.url, onProgress: () => undefined });
    expect((await callback.push())?.sent).toContain("model.safetensors");
    const program = `
import json, sys
from transformers import AutoModelForSequenceClassification, AutoTokenizer
repo = json.loads(sys.argv[1])
model, tokenizer = AutoModelForSequenceClassification.from_pretrained(repo), AutoTokenizer.from_pretrained(repo)
print(json.dumps([type(model).__name__, model.num_parameters(), tokenizer("a b")["input_ids"][0]]))`;
    const environment = { HF_ENDPOINT: hub.url, HF_HUB_DISABLE_XET: "1", HF_HOME: join(outputDir, "cache") };
    const [name, parameters] = (await python!(program, hubModelId, environment)) as [string, number];
    expect([name, parameters > 0]).toEqual(["BertForSequenceClassification", true]);
  });
});
