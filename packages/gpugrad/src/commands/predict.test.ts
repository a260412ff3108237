import { BertForSequenceClassification, BertModel } from "@gpugrad/bert";
import { destroy, device, init, memory } from "@gpugrad/tensor";
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { embed } from "./embed.ts";
import { predict } from "./predict.ts";

/** What remains after it is in use, rather than garbage that has not been collected yet. */
const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
};

const tinyBert = fileURLToPath(new URL("../../../bert/test/fixtures/tiny-bert", import.meta.url));
const root = fileURLToPath(new URL("../../../..", import.meta.url));

/** Texts whose tokens are the golden inputs of the fixture, and the logits that PyTorch computes in float64. */
const golden = [
  { row: { text: "t5 t9 t11", text_pair: "t7" }, logits: [-0.11842717, -0.96476364] },
  { row: { text: "t14 t6" }, logits: [0.48056099, -0.82461452] },
  { row: { text: "t19", text_pair: "t8" }, logits: [-0.137236, -0.77566385] },
];

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "predict-"));
  await cp(tinyBert, dir, { recursive: true });
  const words = Array.from({ length: 15 }, (_, i) => `t${i + 5}`);
  await writeFile(join(dir, "vocab.txt"), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words, ""].join("\n"));
});
afterAll(() => rm(dir, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

interface Run {
  code: number;
  out: string;
  err: string;
}

async function run(args: string[], onWrite: (text: string) => boolean = () => true): Promise<Run> {
  const said = { out: "", err: "" };
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((said.out += String(text)), onWrite(String(text))));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((said.err += String(text)), true));
  vi.spyOn(console, "warn").mockReturnValue();
  return { code: await predict([dir, ...args]), ...said };
}

/** Runs the command on a file of this name. */
async function runOn(name: string, content: string | Uint8Array, args: string[] = []): Promise<Run> {
  await writeFile(join(dir, name), content);
  return run(["--file", join(dir, name), ...args]);
}

const jsonLines = (text: string): unknown[] =>
  text.trimEnd().split("\n").map((line) => JSON.parse(line) as unknown); // prettier-ignore

const softmax = (logits: readonly number[]): number[] => {
  const exps = logits.map(Math.exp);
  return exps.map((e) => e / exps.reduce((a, b) => a + b));
};

describe("gpugrad predict", () => {
  it("gives PyTorch's logits for texts and pairs, in the order of the input", async () => {
    const rows = Array.from({ length: 203 }, (_, i) => golden[(i * i + i) % 3]!); // in windows of 128, the last batch not full
    const lines = rows.map(({ row }) => JSON.stringify(row)).join("\n");
    const { code, out, err } = await runOn("pairs.jsonl", lines, ["--json", "--batch_size", "2"]);
    expect([code, err]).toEqual([0, ""]);
    const results = jsonLines(out) as { label: string; score: number; logits: number[] }[];
    expect(results).toHaveLength(rows.length);
    for (const [i, { label, score, logits }] of results.entries()) {
      const want = rows[i]!.logits;
      for (const [c, logit] of logits.entries()) expect(logit).toBeCloseTo(want[c]!, 5);
      expect(label).toBe("LABEL_0");
      expect(score).toBeCloseTo(softmax(want)[0]!, 5);
    }
  });

  it("continues with a new device when its own is lost", async () => {
    const rows = Array.from({ length: 300 }, (_, i) => golden[(i * i + i) % 3]!); // in windows of 128
    await writeFile(join(dir, "lost.jsonl"), rows.map(({ row }) => JSON.stringify(row)).join("\n"));
    let writes = 0;
    const lose = (): boolean => {
      if (++writes <= 2) device().gpu.destroy(); // as a driver's reset would
      return true;
    };
    const { code, out, err } = await run(["--file", join(dir, "lost.jsonl"), "--json", "--batch-size", "2"], lose);
    expect(code).toBe(0);
    expect(err).toMatch(
      /^(gpugrad predict: the device was lost; the model was opened again on a new one \(.*\)\.\n){1,2}$/,
    );
    const results = jsonLines(out) as { logits: number[] }[];
    expect(results).toHaveLength(rows.length);
    for (const [i, { logits }] of results.entries())
      for (const [c, logit] of logits.entries()) expect(logit).toBeCloseTo(rows[i]!.logits[c]!, 5);
  });

  it("gives the best classes with --top_k", async () => {
    const texts = ["t14 t6", "t14 t6"];
    const [all] = jsonLines((await run([...texts, "--top_k", "all", "--json"])).out) as {
      label: string;
      score: number;
    }[][];
    expect(all!.map(({ label }) => label)).toEqual(["LABEL_0", "LABEL_1"]);
    const want = softmax(golden[1]!.logits);
    for (const [i, { score }] of all!.entries()) expect(score).toBeCloseTo(want[i]!, 5);
    const [one] = jsonLines((await run([...texts, "--top-k", "1", "--json"])).out);
    expect(one).toEqual(all!.slice(0, 1));
    const [raw] = jsonLines(
      (await run([...texts, "--top-k=5", "--function_to_apply", "none", "--json"])).out,
    ) as (typeof all)[];
    expect(raw!.map(({ score }) => score.toFixed(4))).toEqual(["0.4806", "-0.8246"]);
    const [zero, one_] = softmax(golden[1]!.logits).map((p) => p.toFixed(4));
    expect((await run(["t14 t6", "--top-k", "2"])).out).toBe(`LABEL_0\t${zero}\tLABEL_1\t${one_}\tt14 t6\n`);
  });

  it("reports bad lines, keeps their places, and continues", async () => {
    const lines = ['{"text": "t14 t6"}', "oops", '{"txt": "t5"}', "", '{"text": "t14\\tt6\\n"}'].join("\n");
    const plain = await runOn("bad.jsonl", lines);
    expect(plain.code).toBe(1);
    expect(plain.err).toMatch(
      /predict: bad\.jsonl, line 2: not JSON.*\n.*bad\.jsonl, line 3: no text.*\n.*2 of 4 rows/,
    );
    const score = softmax(golden[1]!.logits)[0]!.toFixed(4);
    expect(plain.out).toBe(`LABEL_0\t${score}\tt14 t6\n\t\t\n\t\t\nLABEL_0\t${score}\tt14 t6 \n`);
    const json = jsonLines((await runOn("bad.jsonl", lines, ["--json"])).out) as { label?: string; error?: string }[];
    expect(json.map(({ label, error }) => label ?? error?.slice(0, 17))).toEqual([
      ...["LABEL_0", "bad.jsonl, line 2", "bad.jsonl, line 3", "LABEL_0"],
    ]);
  });

  it("writes CSV that RFC 4180 readers take", async () => {
    const rows = ['t5, "t6"', "t7\nt8", "t9"].map((text) => JSON.stringify({ text }));
    const { out } = await runOn("rows.jsonl", [...rows, "{}"].join("\n"), ["--csv", "--function-to-apply", "none"]);
    const number = String.raw`-?\d+\.\d+`;
    expect(out).toMatch(
      new RegExp(
        `^text,label,score,error\n"t5, ""t6""",LABEL_0,${number},\n"t7\nt8",LABEL_0,${number},\n` +
          `t9,LABEL_0,${number},\n,,,"rows.jsonl, line 4: no text: .*"\n$`,
      ),
    );
    const wide = await runOn("rows.jsonl", rows[2]!, ["--csv", "--top-k", "3"]);
    expect(wide.out).toMatch(
      new RegExp(`^text,label_1,score_1,label_2,score_2,error\nt9,LABEL_0,${number},LABEL_1,${number},\n$`),
    );
  });

  it("waits for whoever reads its output", async () => {
    let isBlocked = false;
    let writes = 0;
    await writeFile(join(dir, "many.txt"), "t5\n".repeat(1000));
    const { code, out } = await run(["--file", join(dir, "many.txt"), "--batch-size", "2"], () => {
      expect(isBlocked).toBe(false);
      if (++writes % 2 === 0) return true;
      isBlocked = true;
      setTimeout(() => {
        isBlocked = false;
        process.stdout.emit("drain");
      }, 20);
      return false;
    });
    expect(code).toBe(0);
    expect(writes).toBe(8); // windows of 128
    expect(out.split("\n")).toHaveLength(1001);
  });

  it("takes 20,000 lines in constant memory", async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `${"t5 ".repeat(i % 7)}${"t6 ".repeat((i * 31) % 3)}`);
    await writeFile(join(dir, "lines.txt"), lines.join("\n"));
    const seen: { heap: number; bytes: number; storages: number }[] = [];
    let writes = 0;
    const { code, out } = await run(["--file", join(dir, "lines.txt")], () => {
      if (writes++ % 5 !== 4) return true;
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      const { storages, bytes, freeBytes } = memory();
      seen.push({ heap: heapUsed + external, bytes: bytes + freeBytes, storages });
      return true;
    });
    expect(code).toBe(0);
    expect(out.split("\n").slice(0, -1).map((line) => line.split("\t")[2])).toEqual(lines); // prettier-ignore
    expect(seen.length).toBeGreaterThan(3);
    const [early, late] = [seen[0]!, seen.at(-1)!];
    expect(late.storages - early.storages).toBeLessThan(50);
    expect(late.bytes).toBeLessThan(1.5 * early.bytes);
    expect((late.heap - early.heap) / 2 ** 20).toBeLessThan(20);
  });

  it("ends with 2 for wrong usage, and says which file isn't there", async () => {
    expect((await run(["--top_k", "0", "a"])).code).toBe(2);
    expect((await run(["--json", "--csv", "a"])).code).toBe(2);
    expect((await run(["--format", "xml", "a"])).code).toBe(2);
    await expect(run(["--file", join(dir, "none.txt")])).rejects.toThrow(/none\.txt/);
  });
});

it("gpugrad embed pools, cuts and begins as the files of sentence-transformers say", async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.spyOn(console, "warn").mockReturnValue();
  const vectorsOf = async (folder: string, ...texts: string[]) => {
    let out = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
    expect(await embed([folder, "--json", ...texts])).toBe(0);
    return (jsonLines(out) as { embedding: number[] }[]).map(({ embedding }) => embedding);
  };
  const folder = await mkdtemp(join(tmpdir(), "sentences-"));
  await cp(dir, folder, { recursive: true });
  const write = (file: string, content: unknown) => writeFile(join(folder, file), JSON.stringify(content));
  await mkdir(join(folder, "1_Pooling"));
  await write("modules.json", [
    { idx: 0, path: "", type: "sentence_transformers.models.Transformer" },
    { idx: 1, path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
  ]);
  await write("1_Pooling/config.json", { pooling_mode: ["cls", "mean"] });
  await write("config_sentence_transformers.json", { prompts: { q: "t6 " }, default_prompt_name: "q" });
  await write("sentence_bert_config.json", { max_seq_length: 5 });

  const [cut, same] = await vectorsOf(folder, "t5 t7 t8 t9", "t5 t7");
  expect(cut).toEqual(same); // [CLS] t6 t5 t7 [SEP]
  const [mean] = await vectorsOf(dir, "t6 t5 t7"); // by the usual rule: the mean, of length 1
  const second = cut!.slice(cut!.length / 2);
  const length = Math.hypot(...second);
  expect(Math.abs(length - 1)).toBeGreaterThan(1e-3);
  for (const [i, value] of mean!.entries()) expect(second[i]! / length).toBeCloseTo(value, 5);
  expect(cut!.slice(0, mean!.length)).not.toEqual(second);
  await rm(folder, { recursive: true });
});

it("gpugrad embed keeps the places of bad lines, too", async () => {
  let out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.spyOn(console, "warn").mockReturnValue();
  await writeFile(join(dir, "e.txt"), Buffer.from("t5\n\xff\nt5 t6\n", "latin1"));
  expect(await embed([dir, "--json", "--file", join(dir, "e.txt")])).toBe(1);
  const [a, b, c] = jsonLines(out) as { embedding?: number[]; error?: string }[];
  for (const { embedding } of [a!, c!]) expect(Math.hypot(...embedding!)).toBeCloseTo(1, 6);
  expect(b!.error).toMatch(/e\.txt, line 2: not UTF-8/);
});

describe("a model that can't answer", () => {
  const answerOf = async (folder: string, ...args: string[]) => {
    const said = { out: "", err: "" };
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((said.out += String(text)), true));
    vi.spyOn(process.stderr, "write").mockImplementation((text) => ((said.err += String(text)), true));
    vi.spyOn(console, "warn").mockReturnValue();
    return { code: await predict([folder, ...args]), ...said };
  };
  /** A copy of the model, changed by `change`, as `config` describes it. */
  async function changed(save: (folder: string) => Promise<void>, config: object = {}): Promise<string> {
    const folder = await mkdtemp(join(dir, "model-"));
    await cp(join(dir, "vocab.txt"), join(folder, "vocab.txt"));
    await init();
    await save(folder);
    await destroy();
    const file = join(folder, "config.json");
    await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, "utf8")) as object), ...config }));
    return folder;
  }
  const classifier = () => BertForSequenceClassification.fromPretrained(tinyBert);

  it("is refused where weights are missing in part or whole, unless they may be drawn at random", async () => {
    const base = await changed(async (folder) => (await BertModel.fromPretrained(tinyBert)).savePretrained(folder));
    await expect(answerOf(base, "t5")).rejects.toThrow(
      `${base}: weights are missing: classifier.bias, classifier.weight. Fine-tune it`,
    );
    const { code, out, err } = await answerOf(base, "t5", "--allow_missing_weights");
    expect([code, out]).toEqual([0, expect.stringMatching(/^LABEL_\d\t/)]);
    expect(err).toMatch(/weights are missing.*Its answers mean nothing/);
  });

  it("is refused where its head is for another task, though the names fit", async () => {
    const save = async (folder: string) => (await classifier()).savePretrained(folder);
    const tags = await changed(save, { architectures: ["BertForQuestionAnswering"] });
    await expect(answerOf(tags, "t5")).rejects.toThrow(/a BertForQuestionAnswering, whose head is for another task/);
    const unnamed = await changed(save, { architectures: null });
    expect((await answerOf(unnamed, "t5")).code).toBe(0);
  });

  it("is named where its numbers are NaN, with the rows, and the exit code is 1", async () => {
    const broken = await changed(async (folder) => {
      const model = await classifier();
      const embedding = model.bert.embeddings.word_embeddings.weight;
      const values = await embedding.data();
      values.fill(NaN, 7 * 8, 8 * 8); // of the word t7
      embedding.write(values);
      await model.savePretrained(folder);
    });
    const json = await answerOf(broken, "t5", "t7", "t7 t6", "--json");
    expect(json.code).toBe(1);
    expect(jsonLines(json.out)).toMatchObject([
      { label: "LABEL_0" },
      { label: null, score: null, logits: [null, null] },
      { label: null, score: null },
    ]);
    expect(json.err).toContain("the model's numbers for 2 of 3 texts are NaN or infinite: rows 2, 3.");
    expect((await answerOf(broken, "t7", "--top_k", "all")).out).toBe("\t\t\t\tt7\n");
    expect((await answerOf(broken, "t7", "--csv")).out).toBe("text,label,score,error\nt7,,,\n");
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    expect(await embed([broken, "t7", "--json"])).toBe(1);
  });

  it("shows control characters of texts on a terminal, and leaves them elsewhere", async () => {
    const text = "t5 \u001b[2J\u202e";
    expect((await run([text])).out).toContain(`${text}\n`);
    const { isTTY } = process.stdout;
    process.stdout.isTTY = true;
    try {
      expect((await run([text])).out).toContain("t5 \\u001b[2J\\u202e\n");
    } finally {
      process.stdout.isTTY = isTTY;
    }
  });

  it("says once how many texts were cut", async () => {
    const { err } = await run(["t5 t6 t7", "t5", "t5 t6 t7 t8", "--max_length", "4"]);
    expect(err).toBe("gpugrad predict: 2 of 3 texts have more than 4 tokens and were cut there.\n");
  });
});

describe("the program", () => {
  it("ends with 1 where a command throws", async () => {
    const args = ["scripts/run.mjs", "packages/gpugrad/src/cli.ts", "predict", join(dir, "nothing"), "a"];
    const child = spawn(process.execPath, args, { cwd: root });
    let err = "";
    child.stderr.on("data", (data) => (err += String(data)));
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(1);
    expect(err).toMatch(/^gpugrad: .*nothing/m);
  });

  /** The command as its users start it, in a process group of its own, fed without end. */
  function start() {
    const args = ["scripts/run.mjs", "packages/gpugrad/src/cli.ts", "predict", dir, "--batch-size", "8"];
    const child = spawn(process.execPath, args, { cwd: root, detached: true });
    const feed = (): void => void (child.stdin.writable && child.stdin.write("t5 t9\n".repeat(1000), feed));
    child.stdin.on("error", () => undefined);
    feed();
    let err = "";
    child.stderr.on("data", (data) => (err += String(data)));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const firstOutput = new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
    return { child, ended, firstOutput, err: () => err };
  }

  it("ends in silence when its reader has enough", async () => {
    const { child, ended, firstOutput, err } = start();
    expect(await firstOutput).toMatch(/^LABEL_0\t0\.\d{4}\tt5 t9\n/);
    child.stdout.destroy();
    expect(await ended).toBe(141);
    expect(err()).not.toMatch(/EPIPE|Error/);
  });

  it("ends cleanly on Ctrl-C, with whole lines", async () => {
    const { child, ended, firstOutput, err } = start();
    let out = await firstOutput;
    child.stdout.on("data", (data) => (out += String(data)));
    process.kill(-child.pid!, "SIGINT");
    expect(await ended).toBe(130);
    expect(out.endsWith("t5 t9\n")).toBe(true);
    expect(err()).toContain(`stopped after ${out.split("\n").length - 1} texts`);
  });
});
