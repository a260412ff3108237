import { bertTokenizer, type ByteSource } from "@gpugrad/bert";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Batch, BatchTokenizer } from "./batch.ts";
import { DataLoader } from "./data-loader.ts";
import { Dataset, type Row } from "./dataset.ts";
import { loopback } from "../parallel/loopback.ts";
import { Ranks } from "../parallel/ranks.ts";
import { joinTokens, tokenizeByRanks } from "./join-tokens.ts";
import { tokenCache } from "./token-cache.ts";
import { startWorkers } from "./tokenize-workers.ts";
import { tokenizeDataset, type TokenizedDataset } from "./tokenize-dataset.ts";

let root = "";
beforeAll(async () => void (root = await mkdtemp(join(tmpdir(), "gpugrad-tokens-"))));
afterAll(() => rm(root, { recursive: true }));
const newFolder = () => mkdtemp(join(root, "t-"));

const vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "##w"];
const tokenizer = bertTokenizer(vocab, { do_lower_case: true });
const word = (length: number) => "w".repeat(length); // a word of n letters is n tokens
const rows = Array.from({ length: 700 }, (_, i) => ({ text: word(1 + ((i * 37) % 23)), label: i % 3 }));
const data = Dataset.fromRows(rows);

const batchesOf = async (loader: DataLoader, epoch = 0) => {
  const batches: Batch[] = [];
  for await (const batch of loader.epoch(epoch)) batches.push(batch);
  return batches;
};
const counting = (base: BatchTokenizer = tokenizer) => {
  let texts = 0;
  const counted: BatchTokenizer = {
    modelMaxLength: base.modelMaxLength,
    encodeBatch: (list, options) => ((texts += list.length), base.encodeBatch(list, options)),
    savePretrained: (folder) => base.savePretrained!(folder),
  };
  return { counted, texts: () => texts };
};
const idsOf = async (tokens: TokenizedDataset, row: number) => [...(await tokens.read([row])).ids];

test("tokens, lengths and labels of each row", async () => {
  const tokens = await tokenizeDataset(data, tokenizer, { maxLength: 12, cacheDir: false });
  expect(tokens.length).toBe(700);
  expect([...tokens.lengths.subarray(0, 4)]).toEqual([3, 12, 8, 12]); // 1, 38 % 23 = 15 → cut, 6, 20 → cut
  expect(await idsOf(tokens, 2)).toEqual([2, 5, 6, 6, 6, 6, 6, 3]);
  expect([...tokens.labels!.subarray(0, 4)]).toEqual([0, 1, 2, 0]);
  const { ids, lengths } = await tokens.read([699, 0]);
  expect([...lengths]).toEqual([12, 3]); // 12 letters, cut, and 1
  expect([...ids.slice(-3)]).toEqual([2, 5, 3]);
});

test("tokens of parts, joined, are those of the whole", async () => {
  const options = { maxLength: 12, cacheDir: false } as const;
  const whole = await tokenizeDataset(data, tokenizer, options);
  const parts = [data.take(0), data.take(300), data.select(Int32Array.from({ length: 400 }, (_, i) => 300 + i))];
  const joined = joinTokens(await Promise.all(parts.map((part) => tokenizeDataset(part, tokenizer, options))));
  expect(joined.length).toBe(700);
  expect(joined.lengths).toEqual(whole.lengths);
  expect(joined.labels).toEqual(whole.labels);
  const rows = [699, 0, 299, 300, 12, 301];
  expect(await joined.read(rows)).toEqual(await whole.read(rows));
  await joined.close();
});

test("each rank makes the tokens of its part, and finds the other's", async () => {
  const cacheDir = await newFolder();
  const whole = await tokenizeDataset(data, tokenizer, { maxLength: 12, cacheDir: false });
  const byRanks = () =>
    Promise.all(
      loopback(2).map(async (communicator) => {
        const { counted, texts } = counting();
        const ranks = new Ranks(communicator, 10);
        const tokens = await tokenizeByRanks(data, counted, ranks, { maxLength: 12, cacheDir });
        expect(tokens.lengths).toEqual(whole.lengths);
        expect(await idsOf(tokens, 699)).toEqual(await idsOf(whole, 699));
        await tokens.close();
        return { hit: tokens.cache?.hit, tokenized: texts() > 300 }; // 350 of 700; and a text for each key
      }),
    );
  expect((await byRanks()).map(({ tokenized }) => tokenized)).toEqual([true, true]);
  expect(await byRanks()).toEqual([0, 1].map(() => ({ hit: true, tokenized: false })));
});

test("a dataset without rows", async () => {
  const none = Dataset.fromRows([]);
  for (const cacheDir of [false, await newFolder()] as const) {
    const tokenized = await tokenizeDataset(none, tokenizer, { maxLength: 12, cacheDir });
    expect(tokenized.length).toBe(0);
    expect(await batchesOf(new DataLoader(none, tokenizer, { maxLength: 12, tokenized, groupByLength: true }))).toEqual(
      [],
    );
    await tokenized.close();
  }
});

/** A batch whose rows are lists of tokens: kept ones are in typed arrays. */
const inLists = ({ encoded, ...batch }: Batch) => ({
  ...batch,
  encoded: encoded?.map((row) => ({ ...row, input_ids: Array.from(row.input_ids), token_type_ids: Array.from(row.token_type_ids ?? []) })), // prettier-ignore
});

test.each([
  { batchSize: 7 },
  { batchSize: 8, padding: "max_length" as const },
  { batchSize: 8, padToMultipleOf: 4, shuffle: true, dropLast: true },
])("batches of tokens are those of texts: %j", async (options) => {
  const pairs = Dataset.fromRows(
    rows.map((row, i) => ({ ...row, text_pair: word(1 + (i % 5)), label: row.label / 2 })),
  );
  for (const source of [data, pairs]) {
    for (const side of ["right", "left"]) {
      const sided = bertTokenizer(vocab, { do_lower_case: true, padding_side: side });
      const tokenized = await tokenizeDataset(source, sided, { maxLength: 16, cacheDir: await newFolder() });
      expect(tokenized.cache?.hit).toBe(false);
      const ofTokens = await batchesOf(new DataLoader(source, sided, { ...options, maxLength: 16, tokenized }));
      const ofTexts = await batchesOf(new DataLoader(source, sided, { ...options, maxLength: 16 }));
      expect(ofTokens.map(inLists)).toEqual(ofTexts.map(inLists));
      await tokenized.close();
    }
  }
});

test("groups by length, continues in the middle of an epoch, and needs the right tokens", async () => {
  const tokenized = await tokenizeDataset(data, tokenizer, { maxLength: 32, cacheDir: false });
  const options = { batchSize: 10, maxLength: 32, shuffle: true, groupByLength: true, tokenized };
  const loader = new DataLoader(data, tokenizer, options);
  const batches = await batchesOf(loader, 2);
  expect(batches.flatMap((batch) => [...batch.rows]).sort((a, b) => a - b)).toEqual(rows.map((_, i) => i));
  for (const batch of batches.slice(1, 10)) {
    const lengths = batch.rows.map((row) => rows[row]!.text.length);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(3);
  }
  const rest: Batch[] = [];
  for await (const batch of loader.epoch(2, { skip: 66 })) rest.push(batch);
  expect(rest).toEqual(batches.slice(66));

  expect(() => new DataLoader(data, tokenizer, { groupByLength: true })).toThrow("groupByLength needs the lengths");
  expect(() => new DataLoader(data, tokenizer, { maxLength: 16, tokenized })).toThrow("not this dataset's");
  expect(() => new DataLoader(data.take(3), tokenizer, { maxLength: 32, tokenized })).toThrow("not this dataset's");
  expect(() => new DataLoader(data, tokenizer, { ...options, shuffle: false, indices: [1] })).toThrow("groupByLength");
});

test("what an earlier run kept is found, for the same texts, tokenizer and length alone", async () => {
  const cacheDir = await newFolder();
  const hit = async (source: Dataset, base: BatchTokenizer, maxLength = 12) => {
    const { counted, texts } = counting(base);
    const tokens = await tokenizeDataset(source, counted, { maxLength, cacheDir });
    await tokens.close();
    expect(texts()).toBe(tokens.cache!.hit ? 1 : 1 + source.length); // one text to identify the program's version
    return tokens.cache!.hit;
  };
  expect(await hit(data, tokenizer)).toBe(false);
  expect(await hit(data, tokenizer)).toBe(true);
  expect(await hit(data, tokenizer, 13)).toBe(false);
  expect(await hit(data, bertTokenizer([...vocab, "v"], { do_lower_case: true }))).toBe(false);
  expect(await hit(data, bertTokenizer(vocab, { do_lower_case: false }))).toBe(false);
  expect(
    await hit(
      data.map((row) => (row.text === "w" ? { ...row, text: "w " } : row)),
      tokenizer,
    ),
  ).toBe(false);
  expect(
    await hit(
      data.map(({ text }) => ({ text: text.slice(0, 1), text_pair: text.slice(1) })),
      tokenizer,
    ),
  ).toBe(false);
  expect(await hit(data.take(699), tokenizer)).toBe(false);
  // Labels are not part of it: other labels, the same tokens.
  const relabelled = await tokenizeDataset(
    data.map((row) => ({ ...row, label: 1 })),
    tokenizer,
    { maxLength: 12, cacheDir },
  );
  expect(relabelled.cache!.hit).toBe(true);
  expect([...relabelled.labels!.subarray(0, 3)]).toEqual([1, 1, 1]);
  await relabelled.close();
  expect((await readdir(cacheDir)).filter((file) => !file.endsWith(".tokens"))).toEqual([]);
});

test("a damaged file is made again", async () => {
  const cacheDir = await newFolder();
  const tokenize = () => tokenizeDataset(data, tokenizer, { maxLength: 12, cacheDir });
  const first = await tokenize();
  const expected = await idsOf(first, 5);
  await first.close();
  const { path } = first.cache!;
  const whole = await readFile(path);
  for (const damaged of [whole.subarray(0, whole.length - 100), Buffer.alloc(0), Buffer.from(whole).fill(7, 40, 41)]) {
    await writeFile(path, damaged);
    const again = await tokenize();
    expect(again.cache!.hit).toBe(false);
    expect(await idsOf(again, 5)).toEqual(expected);
    await again.close();
    expect(await readFile(path)).toEqual(whole);
  }
});

test("what was not used for longest goes when there is too much, and what a killed run left", async () => {
  const folder = await newFolder();
  const cache = tokenCache(folder, 2500);
  async function* pieces() {
    yield Promise.resolve(new Uint8Array(1000 - 32)); // and a hash of 32
  }
  const put = async (key: string) => ((await cache.write(key, pieces())) as ByteSource).close();
  const age = (name: string, seconds: number) => {
    const then = new Date(Date.now() - 1000 * seconds);
    return utimes(join(folder, name), then, then);
  };
  await put("a");
  await age("a.tokens", 300);
  await put("b");
  await age("b.tokens", 200);
  await (await cache.find("a"))!.close(); // used now
  for (const name of ["new.tmp", "old.tmp"]) await writeFile(join(folder, name), "");
  await age("old.tmp", 100_000);
  await put("c");
  expect((await readdir(folder)).sort()).toEqual(["a.tokens", "c.tokens", "new.tmp"]);
});

/** A process that writes one entry of the cache again and again, in small pieces of its own number. */
function writer(folder: string, number: number): ChildProcess {
  const loader = new URL("../../../../scripts/text-loader.mjs", import.meta.url).href;
  const program = `import { tokenCache } from ${JSON.stringify(new URL("./token-cache.ts", import.meta.url).href)};
    async function* pieces() { for (let i = 0; i < 64; i++) yield new Uint8Array(4096).fill(${number}); }
    for (let round = 0; round < 30; round++) {
      const file = await tokenCache(${JSON.stringify(folder)}).write("key", pieces());
      if (typeof file === "string") throw new Error(file);
      await file.close();
    }`;
  const args = ["--import", "tsx", "--import", loader, "--input-type=module", "-e", program];
  return spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
}

test("two processes write an entry at once, and nobody sees a part of it", async () => {
  const folder = await newFolder();
  const seen = new Set<number>();
  const writers = [1, 2].map((number) => writer(folder, number));
  let running = writers.length;
  const codes = writers.map(
    (child) => new Promise((resolve) => child.on("close", (code) => (running--, resolve(code)))),
  );
  while (running > 0) {
    const bytes = await readFile(join(folder, "key.tokens")).catch(() => undefined);
    if (bytes) expect([bytes.length, new Set(bytes.subarray(0, -32)).size]).toEqual([64 * 4096 + 32, 1]);
    const file = await tokenCache(folder).find("key");
    expect(file !== undefined || bytes === undefined).toBe(true); // once it is there, it is whole
    if (!file) continue;
    const content = new Set(await file.read(0, file.size));
    await file.close();
    expect(content.size).toBe(1);
    for (const number of content) seen.add(number);
  }
  expect(await Promise.all(codes)).toEqual([0, 0]);
  expect([...seen].sort()).toEqual([1, 2]);
  expect(await readdir(folder)).toEqual(["key.tokens"]);
}, 60_000);

test("tokens are kept in the folder that GPUGRAD_TOKEN_CACHE names", async () => {
  const folder = await newFolder();
  const settings = { GPUGRAD_TOKEN_CACHE: join(folder, "a"), GPUGRAD_CACHE: join(folder, "b"), XDG_CACHE_HOME: join(folder, "c") }; // prettier-ignore
  const paths: string[] = [];
  for (const name of ["", "GPUGRAD_TOKEN_CACHE", "GPUGRAD_CACHE"]) {
    if (name) settings[name as keyof typeof settings] = "";
    for (const [key, value] of Object.entries(settings)) vi.stubEnv(key, value);
    const tokens = await tokenizeDataset(data, tokenizer, { maxLength: 12 });
    paths.push(dirname(tokens.cache!.path));
    await tokens.close();
  }
  vi.unstubAllEnvs();
  expect(paths).toEqual(["a", join("b", "tokens"), join("c", "gpugrad", "tokens")].map((path) => join(folder, path)));
});

test("a folder that can't be written leaves the tokens in memory and says so", async () => {
  const file = join(await newFolder(), "file");
  await writeFile(file, "");
  const tokens = await tokenizeDataset(data, tokenizer, { maxLength: 12, cacheDir: join(file, "tokens") });
  expect(tokens.cache).toBeUndefined();
  expect(tokens.note).toMatch(/kept in memory: .*can't be written.*GPUGRAD_TOKEN_CACHE/);
  expect(await idsOf(tokens, 0)).toEqual([2, 5, 3]);
});

test("a bad row is thrown, and leaves no file", async () => {
  const cacheDir = await newFolder();
  let reads = 0;
  const source = new Dataset({
    name: "source",
    length: 3,
    labels: { numLabels: 0 },
    row: (i) => (++reads > 4 && i === 2 ? Promise.reject(new Error("row 2 is bad")) : Promise.resolve({ text: "w" })),
  });
  await expect(tokenizeDataset(source, tokenizer, { cacheDir, maxLength: 12 })).rejects.toThrow("row 2 is bad");
  expect(await readdir(cacheDir)).toEqual([]);
});

test("threads give the same tokens, and report their errors", async () => {
  const folder = await newFolder();
  await tokenizer.savePretrained(folder);
  const workers = await startWorkers(folder, 2);
  if (typeof workers === "string") throw new Error(workers);
  const ask = (texts: string[], maxLength = 9) =>
    workers.encode(
      texts.map((text): Row => ({ text })),
      maxLength,
    );
  try {
    const [a, b] = await Promise.all([ask(["w", "ww"]), ask(["w".repeat(40)])]);
    expect([...a.ids]).toEqual([2, 5, 3, 2, 5, 6, 3]);
    expect([...a.lengths]).toEqual([3, 4]);
    expect(b.ids.length).toBe(9);
    await expect(ask(["w"], -1)).rejects.toThrow("tokenizer: maxLength -1 is not a non-negative integer");
  } finally {
    await workers.close();
  }
  const [alone, threads] = [
    await tokenizeDataset(data, tokenizer, { maxLength: 12, cacheDir: false }),
    await tokenizeDataset(data, tokenizer, { maxLength: 12, cacheDir: false, numWorkers: 2 }),
  ];
  expect(threads.note).toBeUndefined();
  const all = rows.map((_, i) => i);
  expect(await threads.read(all)).toEqual(await alone.read(all));
});

test("without threads where the tokenizer can't be sent or does not load there", async () => {
  const unsent = counting().counted;
  delete unsent.savePretrained;
  const tokens = await tokenizeDataset(data, unsent, { maxLength: 12, numWorkers: 1 });
  expect(tokens.cache).toBeUndefined();
  expect(tokens.note).toBe("texts are tokenized without other threads: the tokenizer can't be saved");
  expect(await idsOf(tokens, 0)).toEqual([2, 5, 3]);
  expect(await startWorkers(await newFolder(), 1)).toMatch(/no tokenizer: neither tokenizer.json nor vocab.txt/);
});
