import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { captured } from "../../test/captured.ts";
import { plan } from "./plan.ts";

const tinyBert = fileURLToPath(new URL("../../../bert/test/fixtures/tiny-bert", import.meta.url));

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), "plan-"))));
afterAll(() => rm(dir, { recursive: true }));

const run = (...args: string[]) => captured(() => plan(args));

interface Planned {
  gpu: string;
  step_ms: number;
  seconds: number;
  cost: number | null;
  fits: boolean;
  parameters: number;
  kernels: { kernel: string; dispatches: number; flops: number; ms: number }[];
}

const planned = async (...args: string[]): Promise<Planned> =>
  (JSON.parse((await run(...args, "--json")).out) as Planned[])[0]!;

test("BERT-base on an H200 takes about what was measured there, and fewer milliseconds with matrix units", async () => {
  const { step_ms, kernels, parameters, fits } = await planned("--gpu", "h200");
  expect(parameters).toBe(109_483_778);
  expect(fits).toBe(true);
  expect(Math.abs(step_ms - 114)).toBeLessThan(17);
  // 6 · 85 M weights of the layers · 4,096 tokens, and a little for the head
  const products = kernels.filter(({ kernel }) => kernel.includes("ops/matmul/"));
  expect(products.reduce((sum, { flops }) => sum + flops, 0) / 1e12).toBeCloseTo(2.09, 2);
  const f16 = await planned("--gpu", "h200", "--fp16");
  expect(f16.step_ms).toBeGreaterThan(20);
  expect(f16.step_ms).toBeLessThan(45); // 71.5 were measured, of products that took 1.7 times the cycles and attention without matrix units
  const names = f16.kernels.map(({ kernel }) => kernel);
  const passes = ["attention", "attention-dq", "attention-dkv"].map((pass) => `attention/${pass}`);
  for (const room of ["matmul/matmul", ...passes]) expect(names).toContain(`ops/${room}-subgroup-matrix.wgsl`);
  expect(names.join()).not.toContain("tiled");
});

test("four RTX 3090, with which PyTorch took twelve minutes, would be done in less", async () => {
  const { seconds, cost } = await planned("--gpu", "rtx3090", "--count", "4", "--price", "0.3");
  expect(seconds / 60).toBeGreaterThan(2);
  expect(seconds / 60).toBeLessThan(12);
  expect(cost).toBeCloseTo((4 * 0.3 * seconds) / 3600, 9);
});

const small = ["--model", tinyBert, "--batch-size", "2", "--seq-length", "6"];

test("prints a table, and draws it", async () => {
  const svg = join(dir, "step.svg");
  const { code, out } = await run(...small, "--gpu", "rtx4090", "--svg", svg);
  expect(code).toBe(0);
  expect(out).toMatch(/on NVIDIA RTX 4090: a step of 2 × 6 tokens in f32/);
  expect(out).toMatch(/^kernel +dispatches +GFLOP +GB +ms +share +bound by$/m);
  expect(out).toMatch(/^recipe .* s: 37500 updates, 3 × 25000 texts$/m);
  expect(out).toContain("An estimate: kernels, operations and bytes are those of a dry run");
  const drawing = await readFile(svg, "utf8");
  expect(drawing).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(drawing.match(/<rect /g)!.length).toBeGreaterThan(5);
});

test("--gpu all is a line for each, and what can't be is refused", async () => {
  const { out } = await run(...small);
  expect(out.match(/^(NVIDIA|Apple) .* fits$/gm)).toHaveLength(8);
  expect(await run(...small, "--gpu", "voodoo")).toMatchObject({
    code: 2,
    err: expect.stringContaining("h200, h100") as string,
  });
  expect(await run(...small, "--price", "cheap")).toMatchObject({ code: 2 });
  await expect(run(...small, "--svg", join(dir, "all.svg"))).rejects.toThrow("--svg draws the step of one GPU");
});

test("--scaling: 2 to 1,024 GPUs; a faster network scales better, and within a machine it doesn't matter", async () => {
  const svg = join(dir, "scaling.svg");
  const scaling = async (...more: string[]) =>
    JSON.parse((await run("--model", "bert-tiny", "--gpu", "h100", "--scaling", "--json", ...more)).out) as Record<
      "count" | "step_ms" | "exchange_ms" | "wait_ms" | "efficiency",
      number
    >[];
  const slow = await scaling("--network", "1", "--svg", svg);
  const fast = await scaling("--network", "25");
  expect(slow.map(({ count }) => count)).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
  slow.forEach((line, i) => {
    const across = line.count > 8;
    expect(line.efficiency).toBeCloseTo(line.step_ms / (line.step_ms + line.wait_ms), 9);
    expect(line.wait_ms).toBeGreaterThanOrEqual(line.exchange_ms * 0.89); // most of bert-tiny is its embeddings
    expect(line.wait_ms).toBeLessThan(line.exchange_ms);
    if (across) expect(line.exchange_ms).toBeGreaterThan(fast[i]!.exchange_ms);
    else expect(line.exchange_ms).toBe(fast[i]!.exchange_ms);
  });
  // 2 · 15/16 of 4.4 M gradients of 4 bytes from each of eight GPUs, at 1 GB/s
  expect(slow[3]!.exchange_ms).toBeGreaterThan(2 * (15 / 16) * 4.38 * 4 * 8);
  expect(await readFile(svg, "utf8")).toMatch(/<svg xmlns[^]*1024/);
  await expect(run("--scaling")).rejects.toThrow("--scaling is about one GPU");
});
