import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { tokenize } from "./tokenize.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tokenize-"));
  await writeFile(join(dir, "vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n");
});
afterAll(() => rm(dir, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** Runs the command on these lines; gives its exit code and what it wrote to standard output. */
async function run(args: string[], lines: string[] = []): Promise<{ code: number; out: string }> {
  let out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const file = join(dir, "lines.jsonl");
  await writeFile(file, lines.join("\n"));
  return { code: await tokenize([...args, ...(lines.length > 0 ? ["--file", file] : [])]), out };
}

describe("gpugrad tokenize", () => {
  it("writes a JSON line for each text and each pair", async () => {
    const lines = ['{"text": "A b"}', '{"text": "a", "text_pair": "b"}'];
    const args = ["--tokenizer", dir, "--max_length", "6", "--truncation", "--padding", "max_length", "--json"];
    const { code, out } = await run(args, lines);
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      {
        input_ids: [2, 5, 6, 3, 0, 0],
        token_type_ids: [0, 0, 0, 0, 0, 0],
        attention_mask: [1, 1, 1, 1, 0, 0],
        offsets: [[0, 0], [0, 1], [2, 3], [0, 0], [0, 0], [0, 0]], // prettier-ignore
      },
      {
        input_ids: [2, 5, 3, 6, 3, 0],
        token_type_ids: [0, 0, 0, 1, 1, 0],
        attention_mask: [1, 1, 1, 1, 1, 0],
        offsets: [[0, 0], [0, 1], [0, 0], [0, 1], [0, 0], [0, 0]], // prettier-ignore
      },
    ]);
  });

  it("writes tokens and ids of plain texts", async () => {
    expect((await run(["--tokenizer", dir, "a c"])).out).toBe("[CLS] 2  a 5  [UNK] 1  [SEP] 3\n");
  });

  it("names the number of a bad line", async () => {
    const args = ["--tokenizer", dir, "--json"];
    await expect(run(args, ['{"text": "a"}', "oops"])).rejects.toThrow(/line 2: not JSON/);
    await expect(run(args, ['{"txt": "a"}'])).rejects.toThrow(/line 1: no "text"/);
    await expect(run(args, ['{"text": "a", "text_pair": 3}'])).rejects.toThrow(/line 1: "text_pair" is not a string/);
  });

  it("ends with 2 for wrong usage", async () => {
    expect((await run(["a"])).code).toBe(2);
    expect((await run(["--tokenizer", dir, "--padding", "wide", "a"])).code).toBe(2);
    expect((await run(["--tokenizer", dir, "--max-length", "0", "a"])).code).toBe(2);
  });

  it("--dataset: keeps the tokens of a split for training, and finds them the next time", async () => {
    vi.stubEnv("GPUGRAD_TOKEN_CACHE", join(dir, "tokens"));
    const file = join(dir, "rows.csv");
    await writeFile(file, "text,label\na b,0\nb,1\n");
    const made = await run(["--tokenizer", dir, "--dataset", file, "--max_length", "3"]);
    expect(made.out).toMatch(/^made 6 tokens of 2 rows, at most 3 of each: .*tokens\n$/);
    expect((await run(["--tokenizer", dir, "--dataset", file, "--max_length", "3"])).out).toBe(
      made.out.replace("made", "found"),
    );
    for (const word of ["--json", "--no-add-special-tokens", "a text"])
      await expect(run(["--tokenizer", dir, "--dataset", file, word])).rejects.toThrow(`${word} is about texts`);
    await expect(run(["--tokenizer", dir, "--split", "train", "a"])).rejects.toThrow("--split is about a dataset");
    vi.stubEnv("GPUGRAD_TOKEN_CACHE", join(file, "no-folder"));
    await expect(run(["--tokenizer", dir, "--dataset", file])).rejects.toThrow("Set GPUGRAD_TOKEN_CACHE");
    vi.unstubAllEnvs();
  });
});
