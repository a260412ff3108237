import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { predict } from "./predict.ts";
import { serve } from "./serve.ts";

const tinyBert = fileURLToPath(new URL("../../../bert/test/fixtures/tiny-bert", import.meta.url));
const root = fileURLToPath(new URL("../../../..", import.meta.url));

/** Inputs, and the logits that PyTorch computes for their tokens in float64. */
const golden = [
  { input: { text: "t5 t9 t11", text_pair: "t7" }, logits: [-0.11842717, -0.96476364] },
  { input: "t14 t6", logits: [0.48056099, -0.82461452] },
  { input: { text: "t19", text_pair: "t8" }, logits: [-0.137236, -0.77566385] },
] as const;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "serve-"));
  await cp(tinyBert, dir, { recursive: true });
  const words = Array.from({ length: 15 }, (_, i) => `t${i + 5}`);
  await writeFile(join(dir, "vocab.txt"), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words, ""].join("\n"));
});
afterAll(() => rm(dir, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

type Scores = { label: string; score: number }[];

/** The command as its users start it, once it listens. */
async function start(args: string[]) {
  const child = spawn(
    process.execPath,
    ["scripts/run.mjs", "packages/gpugrad/src/cli.ts", "serve", dir, "--port", "0", ...args],
    { cwd: root },
  );
  let out = "";
  let err = "";
  child.stderr.on("data", (data) => (err += String(data)));
  const ended = once(child, "close").then(([code]) => code as number | null);
  const listening = new Promise<string>((resolve) => {
    child.stdout.on("data", (data) => {
      out += String(data);
      const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(out) ?? [];
      if (url) resolve(url);
    });
  });
  const url = await Promise.race([
    listening,
    ended.then((code) => Promise.reject(new Error(`ended with ${code}: ${err}`))),
  ]);
  const post = (body: object) =>
    fetch(`${url}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const ask = async (body: object): Promise<Scores[]> => (await (await post(body)).json()) as Scores[];
  return { child, url, post, ask, ended, err: () => err };
}

it("answers as predict does, computes together what comes together, and ends on SIGTERM", async () => {
  const { child, url, post, ask, ended, err } = await start(["--max-batch-size", "8", "--max-wait", "50"]);
  const none = { function_to_apply: "none" };
  const rows = Array.from({ length: 40 }, (_, i) => golden[(i * i + i) % 3]!);
  const answers = await Promise.all(rows.map(({ input }) => ask({ inputs: input, parameters: none })));
  for (const [i, [scores]] of answers.entries())
    for (const [c, logit] of rows[i]!.logits.entries())
      expect(scores!.find(({ label }) => label === `LABEL_${c}`)!.score).toBeCloseTo(logit, 5);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(Number(/^gpugrad_batch_size_sum (\d+)/m.exec(metrics)![1])).toBe(40);
  expect(Number(/^gpugrad_batch_size_count (\d+)/m.exec(metrics)![1])).toBeLessThan(20);

  const texts = ["t14 t6", "", "t5 t6 t7 t8 t9 t10", "what is this?"];
  let out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(console, "warn").mockReturnValue();
  expect(await predict([dir, ...texts, "--json", "--top-k", "all"])).toBe(0);
  const predicted = out.trimEnd().split("\n").map((line) => JSON.parse(line) as Scores); // prettier-ignore
  for (const [i, scores] of (await ask({ inputs: texts })).entries()) {
    expect(scores.map(({ label }) => label)).toEqual(predicted[i]!.map(({ label }) => label));
    for (const [c, { score }] of scores.entries()) expect(score).toBeCloseTo(predicted[i]![c]!.score, 6);
  }
  expect(await ask({ inputs: texts, parameters: { top_k: 1 } })).toHaveLength(4);

  const last = Array.from({ length: 30 }, () => post({ inputs: "t14 t6" }).then(({ status }) => status, () => "refused")); // prettier-ignore
  await Promise.race(last); // one is answered: the others are on their way
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
  const statuses = await Promise.all(last);
  expect(statuses.filter((status) => ![200, 503, "refused"].includes(status))).toEqual([]);
  expect(err()).toMatch(/gpugrad serve: SIGTERM: finishing/);
  await expect(fetch(`${url}/health`)).rejects.toThrow();
});

it("says which port is taken, and which options are wrong", async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.spyOn(console, "warn").mockReturnValue();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  await expect(serve([dir, "--port", String(port)])).rejects.toThrow(`127.0.0.1:${port}. --port 0 takes any`);
  other.close();
  expect(await serve([dir, "--max-batch-size", "0"])).toBe(2);
  await expect(serve([dir, "--max_queue_size", "4"])).rejects.toThrow(/--max-queue-size 4 has no room for .* 32 texts/);
  expect(await serve([])).toBe(2);
});
