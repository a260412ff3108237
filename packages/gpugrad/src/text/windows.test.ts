import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { evaluate } from "../commands/evaluate.ts";
import { predict } from "../commands/predict.ts";

const tinyBert = fileURLToPath(new URL("../../../bert/test/fixtures/tiny-bert", import.meta.url));
const words = Array.from({ length: 15 }, (_, i) => `t${i + 5}`);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "windows-"));
  await cp(tinyBert, dir, { recursive: true });
  await writeFile(join(dir, "vocab.txt"), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words, ""].join("\n"));
});
afterAll(() => rm(dir, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** What a command prints. */
async function said(command: (args: string[]) => Promise<number>, ...args: string[]) {
  const written = { out: "", err: "" };
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((written.out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((written.err += String(text)), true));
  vi.spyOn(console, "warn").mockReturnValue();
  expect([await command([dir, ...args]), written.err]).toEqual([0, expect.not.stringMatching(/error/i)]);
  return written;
}

/** The logits of texts. */
async function logitsOf(texts: readonly string[], ...options: string[]): Promise<number[][]> {
  const { out } = await said(predict, ...texts, "--json", ...options);
  return out.trimEnd().split("\n").map((line) => (JSON.parse(line) as { logits: number[] }).logits); // prettier-ignore
}

/** Texts of many lengths, and by hand their windows of six words, which share two. */
const texts = [1, 6, 7, 10, 11, 14, 19].map((count) => Array.from({ length: count }, (_, i) => words[(i * i + 3 * count) % 15]!)); // prettier-ignore
const ends: Record<number, [number, number][]> = {
  1: [[0, 1]],
  6: [[0, 6]],
  7: [[0, 6], [4, 7]],
  10: [[0, 6], [4, 10]],
  11: [[0, 6], [4, 10], [8, 11]],
  14: [[0, 6], [4, 10], [8, 14]],
  19: [[0, 6], [4, 10], [8, 14], [12, 18], [16, 19]],
}; // prettier-ignore
const windows = texts.map((text) => ends[text.length]!.map(([start, end]) => text.slice(start, end).join(" ")));
const strided = ["--max_length", "8", "--stride", "2"];

describe.each(["mean", "max"] as const)("long texts by the %s of their windows", (pooling) => {
  const poolingOption = pooling === "mean" ? [] : ["--window_pooling", "max"]; // mean is the default
  /** The logits of the texts, made by hand from those of their windows. */
  async function byHand(): Promise<number[][]> {
    const logits = await logitsOf(windows.flat());
    return windows.map((own) => {
      const rows = logits.splice(0, own.length);
      const of = (c: number): number[] => rows.map((row) => row[c]!);
      return [0, 1].map((c) => (pooling === "max" ? Math.max(...of(c)) : of(c).reduce((a, b) => a + b) / own.length));
    });
  }

  it("are predicted", async () => {
    const want = await byHand();
    const lines = texts.map((text) => text.join(" "));
    const got = await logitsOf(lines, ...strided, ...poolingOption, "--batch_size", "3");
    for (const [i, row] of got.entries())
      for (const [c, logit] of row.entries()) expect(logit).toBeCloseTo(want[i]![c]!, 5);
    const cut = await logitsOf(lines, "--max_length", "8");
    expect(cut.at(-1)![0]).not.toBeCloseTo(want.at(-1)![0]!, 3);
  });

  it("are evaluated", async () => {
    const want = await byHand();
    const labels = texts.map((_, i) => i % 2);
    const file = join(dir, "texts.jsonl");
    await writeFile(
      file,
      texts.map((text, i) => JSON.stringify({ text: text.join(" "), label: labels[i] })).join("\n"),
    );
    const { out } = await said(evaluate, "--dataset", file, "--json", ...strided, ...poolingOption);
    const scores = want.map(([no, yes]) => yes! - no!);
    const pairs = scores.flatMap((a, i) =>
      scores.flatMap((b, j) => (labels[i] === 1 && labels[j] === 0 ? [a > b] : [])),
    );
    const metrics = JSON.parse(out) as Record<string, number>;
    expect(metrics["rows"]).toBe(texts.length);
    expect(metrics["roc_auc"] ?? metrics["eval_roc_auc"]).toBeCloseTo(pairs.filter(Boolean).length / pairs.length, 6);
  });
});

it("a pair is cut, and a stride of more than half a window is refused", async () => {
  const file = join(dir, "pairs.jsonl");
  await writeFile(file, JSON.stringify({ text: "t5 t6 t7 t8 t9", text_pair: "t10 t11 t12" }));
  const of = async (...options: string[]) => (await said(predict, "--file", file, "--json", "--max_length", "8", ...options)).out; // prettier-ignore
  expect(await of("--stride", "2")).toBe(await of());
  await expect(predict([dir, "a", "--max_length", "8", "--stride", "4"])).rejects.toThrow(/--stride 4 is more than half of the 6 tokens/); // prettier-ignore
  await expect(evaluate([dir, "--dataset", file, "--max_length", "8", "--stride", "4"])).rejects.toThrow(/--stride 4 is more/); // prettier-ignore
});

it("head_tail predicts what both ends of a text do", async () => {
  const text = texts.at(-1)!;
  const hand = [...text.slice(0, 2), ...text.slice(-4)].join(" "); // six words: the first quarter, rounded, and the rest
  const [want] = await logitsOf([hand]);
  const [got] = await logitsOf([text.join(" ")], "--max_length", "8", "--truncation", "head_tail");
  expect(got).toEqual(want);
});
