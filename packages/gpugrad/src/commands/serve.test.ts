import { destroy, device, DeviceLostError, init } from "@gpugrad/tensor";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { measureHealth, quantile } from "../../test/hostile.ts";
import { openTextModel, sequenceClassification } from "../text/text-model.ts";
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
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

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
  return { child, url, ...clientOf(url), ended, err: () => err };
}

const none = { function_to_apply: "none" };

function clientOf(url: string) {
  const post = (body: object) =>
    fetch(`${url}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const ask = async (body: object): Promise<Scores[]> => (await (await post(body)).json()) as Scores[];
  /** Asks many questions at once, and compares the answers with PyTorch's. */
  const askGolden = async (count: number): Promise<void> => {
    const rows = Array.from({ length: count }, (_, i) => golden[(i * i + i) % 3]!);
    const answers = await Promise.all(rows.map(({ input }) => ask({ inputs: input, parameters: none })));
    for (const [i, [scores]] of answers.entries())
      for (const [c, logit] of rows[i]!.logits.entries())
        expect(scores!.find(({ label }) => label === `LABEL_${c}`)!.score).toBeCloseTo(logit, 5);
  };
  return { post, ask, askGolden };
}

it("answers as predict does, computes together what comes together, and ends on SIGTERM", async () => {
  const { child, url, post, ask, askGolden, ended, err } = await start(["--max-batch-size", "8", "--max-wait", "300"]);
  await askGolden(40);
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

it("answers as before on a new device when its own is lost, and refuses while there is none", async () => {
  const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const err = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.spyOn(console, "warn").mockReturnValue();
  const said = (mock: typeof out): string => mock.mock.calls.join("");
  const before = (["SIGINT", "SIGTERM"] as const).flatMap((name) => process.listeners(name));
  const ended = serve([dir, "--port", "0", "--max-batch-size", "4"]);
  const url = await vi.waitUntil(() => /http:\S+/.exec(said(out))?.[0], { timeout: 30_000 });
  const { post, askGolden } = clientOf(url);
  const health = async (): Promise<number> => (await fetch(`${url}/health`)).status;
  const lose = (): void => device().gpu.destroy(); // as a driver's reset would
  const rebuilds = async (): Promise<string | undefined> =>
    /^gpugrad_device_rebuilds_total (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1];

  lose(); // at rest
  await askGolden(20);
  expect([await health(), await rebuilds()]).toEqual([200, "1"]);
  const asking = askGolden(40);
  await Promise.race([post({ inputs: "t14 t6" }), asking]); // one is answered: others are under way
  lose();
  await asking;
  await askGolden(1); // the last batch may have been over
  expect([await health(), await rebuilds()]).toEqual([200, "2"]);
  expect(said(err)).toMatch(/^(gpugrad serve: the device was lost; the model was opened again .*\n){2}$/);

  err.mockClear();
  vi.stubEnv("GPUGRAD_ADAPTER", "no such adapter");
  lose();
  for (let i = 0; i < 2; i++) {
    const refused = await post({ inputs: "t14 t6" });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  }
  expect(await health()).toBe(503);
  expect(said(err)).toMatch(/^gpugrad serve: the device was lost, and .* no WebGPU adapter for .*=no such adapter/);
  expect(said(err).match(/gpugrad serve/g)).toHaveLength(1);
  vi.unstubAllEnvs();
  await vi.waitUntil(async () => (await health()) === 200, { timeout: 30_000, interval: 50 });
  expect(await rebuilds()).toBe("3");

  device().gpu.createBuffer({ size: 4, usage: 0 }); // an invalid request ends a device, too
  await vi.waitUntil(() => device().failed, { timeout: 30_000 });
  await askGolden(3);
  expect([await health(), await rebuilds()]).toEqual([200, "4"]);

  lose();
  const last = [0, 1, 2].map(() => post({ inputs: "t14 t6" }).then(({ status }) => status, () => "refused")); // prettier-ignore
  process.emit("SIGTERM");
  expect(await ended).toBe(0);
  for (const status of await Promise.all(last)) expect([200, 503, "refused"]).toContain(status);
  for (const name of ["SIGINT", "SIGTERM"] as const)
    for (const listener of process.listeners(name)) if (!before.includes(listener)) process.off(name, listener);
});

it("waits for a GPU where a GPU was lost, and does not continue with the CPU", async () => {
  vi.spyOn(console, "warn").mockReturnValue();
  const { adapter } = await init();
  const { cpu } = adapter;
  const model = await openTextModel(dir, sequenceClassification, { say: () => undefined });
  Object.assign(adapter, { cpu: false });
  const batch = await model.encode([{ text: "t14 t6" }]);
  vi.stubEnv("GPUGRAD_ADAPTER", undefined);
  device().gpu.destroy();
  await model.compute(batch).catch((error: unknown) => expect(error).toBeInstanceOf(DeviceLostError)); // no GPU here
  expect(process.env["GPUGRAD_ADAPTER"]).toBe("hardware");
  vi.unstubAllEnvs();
  Object.assign(adapter, { cpu });
  const [logits] = await model.compute(batch);
  for (const [c, logit] of logits!.entries()) expect(logit).toBeCloseTo(golden[1].logits[c]!, 5);
  await destroy();
});

it("answers /health at once while a hostile client sends long texts, special tokens and broken bodies", async () => {
  const { child, url, askGolden, ended, err } = await start([]);
  try {
    const quiet = await measureHealth(url, 2, 0);
    const { health, honest, hostile } = await measureHealth(url, 4, 8);
    // 100 ms, where the machine itself allows it: other programs may keep its processors busy.
    expect(quantile(health, 0.99)).toBeLessThan(Math.max(100, 4 * quantile(quiet.health, 0.99)));
    expect(honest["200"]).toBeGreaterThan(0);
    for (const status of Object.keys(hostile)) expect(["200", "400", "413", "422", "429", "closed"]).toContain(status);
    await askGolden(3);
  } finally {
    child.kill("SIGTERM");
  }
  expect(await ended).toBe(0);
  expect(err()).not.toMatch(/Error/);
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
  await expect(serve([dir, "--max_queue_size", "4"])).rejects.toThrow(
    /--max-queue-size 4 is too small for .* 32 texts/,
  );
  expect(await serve([])).toBe(2);
});
