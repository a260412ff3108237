import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { byteSource } from "@gpugrad/bert";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cleanHtml } from "./clean-html.ts";
import { Dataset, type Row } from "./dataset.ts";
import { shuffledIndices } from "../random.ts";
import type { DataFolder } from "./readers/folder.ts";
import { dataFolder, loadDataset, loadDatasetDict } from "./load-dataset.ts";

let root = "";
beforeAll(async () => void (root = await mkdtemp(join(tmpdir(), "gpugrad-data-"))));
afterAll(() => rm(root, { recursive: true }));

async function write(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await mkdtemp(join(root, "d-"));
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), content);
  }
  return folder;
}

async function rowsOf(dataset: Dataset): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of dataset) rows.push(row);
  return rows;
}

const huggingface = (names: string[]) =>
  JSON.stringify({ info: { features: { text: { dtype: "string" }, label: { names, _type: "ClassLabel" } } } });

const parquet = (texts: string[], labels: number[], names?: string[]) =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "text", data: texts, type: "STRING" },
        { name: "label", data: labels.map(BigInt), type: "INT64" },
      ],
      rowGroupSize: 2,
      ...(names ? { kvMetadata: [{ key: "huggingface", value: huggingface(names) }] } : {}),
    }),
  );

describe("formats", () => {
  test("CSV: quotes, line ends within fields, a byte-order mark; labels as text are sorted", async () => {
    const path = join(
      await write({ "reviews.csv": '\ufefftext,label\r\n"good, ""really""\r\nyes",pos\r\nbad,neg\r\n' }),
      "reviews.csv",
    );
    const data = await loadDataset(path, { split: "train" });
    expect(data.labels).toEqual({ numLabels: 2, names: ["neg", "pos"] });
    expect(data.id2label).toEqual({ 0: "neg", 1: "pos" });
    expect(await rowsOf(data)).toEqual([
      { text: 'good, "really"\r\nyes', label: 1 },
      { text: "bad", label: 0 },
    ]);
    expect(data.where(1)).toMatch(/reviews\.csv, line 4$/);
  });

  test("TSV: a quote is a character; gzip; GLUE's names; dev is validation", async () => {
    const folder = await write({ "dev.tsv.gz": gzipSync('sentence\tlabel\nsay "no\t1\nno\t0\n') });
    const data = await loadDataset(folder, { split: "validation" });
    expect(data.labels).toEqual({ numLabels: 2 });
    expect(await data.row(0)).toEqual({ text: 'say "no', label: 1 });
  });

  test("JSONL and JSON, pairs, regression, no labels", async () => {
    const rows = [
      { sentence1: "a", sentence2: "b", score: 0.5 },
      { sentence1: "c", sentence2: "d", score: 3 },
    ];
    const folder = await write({
      "train.jsonl": rows.map((row) => JSON.stringify(row)).join("\n\n"),
      "validation.json": JSON.stringify(rows),
      "test.json": JSON.stringify({ text: ["x", "y"], label: [-1, -1] }),
    });
    const data = await loadDatasetDict(folder);
    expect(Object.keys(data)).toEqual(["train", "validation", "test"]);
    for (const split of ["train", "validation"]) {
      expect(data[split]!.labels).toEqual({ numLabels: 1 });
      expect(await data[split]!.row(1)).toEqual({ text: "c", text_pair: "d", label: 3 });
    }
    expect(data["train"]!.where(1)).toMatch(/train\.jsonl, line 3$/);
    expect(await rowsOf(data["test"]!)).toEqual([{ text: "x" }, { text: "y" }]);
  });

  test("parquet: shards, row groups, BigInt labels, names from the huggingface metadata", async () => {
    const folder = await write({
      "plain_text/train-00000-of-00002.parquet": parquet(["a", "b", "c"], [0, 1, 0], ["neg", "pos"]),
      "plain_text/train-00001-of-00002.parquet": parquet(["d", "e", "f"], [1, 1, 0], ["neg", "pos"]),
      "plain_text/test-00000-of-00001.parquet": parquet(["g"], [1], ["neg", "pos"]),
    });
    const data = await loadDataset(folder, { split: "train" });
    expect(data.labels).toEqual({ numLabels: 2, names: ["neg", "pos"] });
    expect((await rowsOf(data)).map((row) => row.text + row.label)).toEqual(["a0", "b1", "c0", "d1", "e1", "f0"]);
    expect(await data.select([5, 0]).row(0)).toEqual({ text: "f", label: 0 });
    expect(data.select([5, 0]).where(0)).toMatch(/00001-of-00002\.parquet, row 2$/);
    await rm(join(folder, "plain_text/train-00001-of-00002.parquet"));
    await expect(loadDataset(folder, { split: "train" })).rejects.toThrow("1 of 2 shards are there");
  });

  test("shards of all sizes, an empty one too, one after another", async () => {
    const sizes = [3, 0, 1, 700, 2];
    const line = (k: number, i: number) => JSON.stringify({ label: k % 2, text: `${k}:${i}` });
    const folder = await write(
      Object.fromEntries(
        sizes.map((size, k) => [`${k}.jsonl`, Array.from({ length: size }, (_, i) => line(k, i)).join("\n")]),
      ),
    );
    const data = await loadDataset({ train: sizes.map((_, k) => join(folder, `${k}.jsonl`)) }, { split: "train" });
    const expected = sizes.flatMap((size, k) => Array.from({ length: size }, (_, i) => `${k}:${i}`));
    expect((await rowsOf(data)).map((row) => row.text)).toEqual(expected);
    expect(data.where(4)).toMatch(/3\.jsonl, line 1$/);
    expect(data.where(705)).toMatch(/4\.jsonl, line 2$/);
  });

  test("a folder per label, as aclImdb: sorted by number; files that a page was given", async () => {
    const files = {
      "train/pos/10_9.txt": "ten",
      "train/pos/9_7.txt": "nine",
      "train/neg/0_1.txt": "zero",
      "train/unsup/0_0.txt": "unlabelled",
      "train/urls_pos.txt": "http://…",
      README: "…",
    };
    for (const folder of [await write(files), dataFolder(files)]) {
      const data = await loadDataset(folder, { split: "train" });
      expect(data.labels.names).toEqual(["neg", "pos"]);
      expect((await rowsOf(data)).map((row) => row.text)).toEqual(["zero", "nine", "ten"]);
    }
  });

  test("a folder per label without splits; files by split, which share the names of classes", async () => {
    const folder = await write({ "b/2.txt": "two", "a/1.txt": "one", "notes.txt": "not a row" });
    expect(await rowsOf(await loadDataset(folder, { split: "train" }))).toEqual([
      { text: "one", label: 0 },
      { text: "two", label: 1 },
    ]);

    const files = await write({ "a.csv": "text,label\nx,yes\ny,no\n", "b.jsonl": '{"label":"yes","text":"z"}' });
    const data = await loadDatasetDict({ dev: [join(files, "b.jsonl")], train: join(files, "a.csv") });
    expect(Object.keys(data).sort()).toEqual(["train", "validation"]);
    expect(data["train"]!.labels.names).toEqual(["no", "yes"]);
    expect(await rowsOf(data["validation"]!)).toEqual([{ text: "z", label: 1 }]);
    await expect(loadDataset({ train: "a.csv" }, { split: "test" })).rejects.toThrow("there are files for [train]");
    await expect(loadDataset({ train: join(files, "c.csv") }, { split: "train" })).rejects.toThrow("no such file");
  });

  test("a mistyped path is called that first, whether it could be an id of the Hub or not", async () => {
    const endpoint = "http://127.0.0.1:9"; // where nobody answers
    const open = (path: string, options: object = {}) =>
      loadDataset(path, { split: "train", endpoint, retryMs: 1, token: false, ...options });
    for (const path of ["data/reviews.csv", "no-such-folder"])
      await expect(open(path)).rejects.toThrow(`${path}: no such file or folder here, and from the Hub: ${path}: cannot reach ${endpoint}`); // prettier-ignore
    await expect(open("data/reviews", { offline: true, cacheDir: root })).rejects.toThrow(
      /^data\/reviews: no such file or folder here, and from the Hub: .*HF_HUB_OFFLINE/,
    );
    for (const path of ["./no/such/folder", join(root, "none.csv"), "a/b/c.csv"])
      await expect(open(path)).rejects.toThrow(
        `${path}: no such file or folder, and not the id of a dataset of the Hub either (ids look like`,
      );
  });

  test("a card names classes and files", async () => {
    const card = `---
configs:
- config_name: default
  data_files:
  - split: train
    path: "raw/part-*.csv"
dataset_info:
  features:
  - name: stars
    dtype:
      class_label:
        names:
          '0': bad
          '1': good
---
# Stars`;
    const folder = await write({
      "README.md": card,
      "raw/part-b.csv": "text,stars\ny,1\n",
      "raw/part-a.csv": "text,stars\nx,0\n",
    });
    const data = await loadDataset(folder, { split: "train" });
    expect(data.labels.names).toEqual(["bad", "good"]);
    expect((await rowsOf(data)).map((row) => row.text)).toEqual(["x", "y"]);
  });
});

describe("errors name the file, the line and a way out", () => {
  const load = async (files: Record<string, string>, options = {}) => {
    const data = await loadDataset(await write(files), { split: "train", ...options });
    return rowsOf(data);
  };

  test.each([
    [
      { "train.csv": "text,label\nfine,1\nno comma\n" },
      {},
      /train\.csv, line 3: 1 fields for 2 columns \[text, label\]/,
    ],
    [{ "train.jsonl": '{"text":"a","label":0}\n{"text":' }, {}, /train\.jsonl, line 2: not JSON/],
    [
      { "train.jsonl": '{"text":"a","label":0}\n{"label":1}' },
      {},
      /train\.jsonl, line 2: no text: column text holds nothing/,
    ],
    [{ "train.jsonl": '{"text":"a","label":0}\n\n{"text":"b"}' }, {}, /train\.jsonl, line 3: no label/],
    [{ "train.csv": "text,label\na,0\nb,-2\n" }, {}, /train\.csv, line 3: a class id is not within 0 to 1/],
    [
      { "train.csv": "phrase,label\na,0\n" },
      {},
      /no column that is known to hold the text .*\[phrase, label\].*--text_column/,
    ],
    [
      { "train.csv": "text,label\na,0\n" },
      { labelColumn: "mood" },
      /--label_column names a column that is not there: mood/,
    ],
    [{ "train.csv": "text,label\na,x\n" }, { labelNames: ["y"] }, /line 2: a label is none of \[y\]/],
    [{ "a/train.csv": "text\n", "b/train.csv": "text\n" }, {}, /several configurations: \[a, b\].*dataset_config_name/],
    [{ "test.csv": "text,label\na,0\n", "notes.csv": "x" }, {}, /no split train: it has \[test\]/],
    [{ "train.parquet": "PAR1 but not really" }, {}, /train\.parquet: not a readable parquet file/],
  ])("%j", async (files, options, message) => {
    await expect(load(files as Record<string, string>, options)).rejects.toThrow(message);
  });

  test("rows that are not there", async () => {
    const data = Dataset.fromRows([{ text: "a", label: 0 }]);
    await expect(data.row(1)).rejects.toThrow("rows: no row 1: it has 1 rows.");
    expect(() => data.select([0, 3])).toThrow("no row 3");
  });
});

describe("bad rows", () => {
  const bad = [
    '{"text":"a","label":"pos"}',
    "{",
    "[1]",
    '{"text":null,"label":"pos"}',
    "",
    '{"text":"b"}',
    '{"text":"c","label":7}',
    '{"text":"d","label":"neg"}',
    '{"text":"e","label":""}',
    '{"label":"neg"}',
  ];
  const texts = (dataset: Dataset) => rowsOf(dataset).then((rows) => rows.map(({ text, label }) => `${text}${label}`));

  test("are left out, counted and named with file and line", async () => {
    const path = join(await write({ "train.jsonl": bad.join("\n") }), "train.jsonl");
    const data = await loadDataset(path, { split: "train", onBadRow: "skip" });
    expect(await texts(data)).toEqual(["a1", "d0"]);
    expect(data.where(1)).toBe(`${dirname(path)}/train.jsonl, line 8`);
    expect([await data.label(0), await data.label(1)]).toEqual([1, 0]);
    expect(data.badRows.count).toBe(7);
    const reasons = data.badRows.first.map((line) => /line \d+: [\w ]+/.exec(line)![0]);
    expect(reasons).toEqual([
      "line 2: not JSON",
      "line 3: expected an object",
      "line 4: no text",
      "line 6: no label",
      "line 7: a label is not a text",
    ]);
    await expect(loadDataset(path, { split: "train" })).rejects.toThrow(
      /train\.jsonl, line 2: not JSON.* \(and 6 more\).*--on_bad_row skip/,
    );
  });

  test("of CSV, JSON and parquet; bytes that are not UTF-8", async () => {
    const folder = await write({
      "train.csv": Buffer.concat([
        Buffer.from("text,label\na,0\nb,0,1\n"),
        Buffer.from([0xe9, 0x2c, 0x30, 0x0a]), // é in Latin-1
        Buffer.from("c,1\n"),
      ]),
      "validation.json": JSON.stringify([
        { text: "a", label: 0 },
        null,
        { text: 3, label: 0 },
        { text: "b", label: 1 },
      ]),
      "test.parquet": new Uint8Array(
        parquetWriteBuffer({
          columnData: [
            { name: "text", data: ["a", null, "b"], type: "STRING" },
            { name: "label", data: [0, 1, 1], type: "INT32" },
          ],
        }),
      ),
    });
    const data = await loadDatasetDict(folder, { onBadRow: "skip" });
    for (const split of ["train", "validation", "test"]) {
      expect(
        (await texts(data[split]!)).map((text) => text.slice(-1)),
        split,
      ).toEqual(["0", "1"]);
    }
    const { first } = data["train"]!.badRows;
    expect(first[0]).toContain("train.csv, line 3: 3 fields for 2 columns");
    expect(first[1]).toContain("train.csv, line 4: not UTF-8");
    expect(first.length).toBe(2);
    expect(data["validation"]!.badRows.count).toBe(2);
    expect(data["test"]!.badRows.first[0]).toMatch(/test\.parquet, row 1: no text: column text holds null/);
  });

  test("a class id out of range is left out only where names say the range", async () => {
    const folder = await write({ "train.csv": "text,label\na,0\nb,5\nc,1\n" });
    expect((await loadDataset(folder, { split: "train" })).labels).toEqual({ numLabels: 6 });
    const named = await loadDataset(folder, { split: "train", labelNames: ["no", "yes"], onBadRow: "skip" });
    expect(await texts(named)).toEqual(["a0", "c1"]);
    expect(named.badRows.first[0]).toContain('line 3: a class id is not within 0 to 1: column label holds "5"');
  });
});

test("rows of any place in a file of several blocks, and blocks for select", async () => {
  const lines = Array.from({ length: 500 }, (_, i) => JSON.stringify({ text: `${i} ${"é".repeat(i)}`, label: i % 3 }));
  const data = await loadDataset(await write({ "train.jsonl": lines.join("\r\n") }), { split: "train" });
  for (const i of [499, 0, 250, 498, 1]) {
    expect(await data.row(i)).toEqual({ text: `${i} ${"é".repeat(i)}`, label: i % 3 });
  }
  const blocks = Array.from({ length: 500 }, (_, i) => data.blockOf(i));
  expect(new Set(blocks).size).toBeGreaterThan(10); // 262 kB in blocks of 16
  expect(data.select([499, 3]).blockOf(0)).toBe(blocks[499]);
});

test("a file larger than memory is indexed and read in small pieces", async () => {
  // 20 MB that exist only while they are read: each line has 1,000 bytes.
  const lines = 20_000;
  const line = (i: number) => `${JSON.stringify({ text: String(i).padEnd(978, "x"), label: i % 2 })}\n`;
  const reads: number[] = [];
  const folder: DataFolder = {
    name: "virtual",
    files: ["train.jsonl"],
    open: () =>
      Promise.resolve({
        name: "train.jsonl",
        size: lines * line(0).length,
        read: (offset, length) => {
          reads.push(length);
          const first = Math.floor(offset / 1000);
          const text = Array.from({ length: Math.ceil(length / 1000) + 1 }, (_, k) => line(first + k)).join("");
          return Promise.resolve(new TextEncoder().encode(text).slice(offset % 1000, (offset % 1000) + length));
        },
        close: () => Promise.resolve(),
      }),
  };
  expect(line(lines - 1).length).toBe(line(7).length);
  const data = await loadDataset(folder, { split: "train" });
  expect(data.length).toBe(lines);
  expect(Math.max(...reads)).toBeLessThanOrEqual(1 << 20);
  reads.length = 0;
  for (const i of shuffledIndices(lines, 1).slice(0, 200)) {
    const row = await data.row(i);
    expect([parseInt(row.text), row.label]).toEqual([i, i % 2]);
  }
  expect(Math.max(...reads)).toBeLessThanOrEqual(20_000);
});

test("row groups are read one after the other, however many rows are asked for at once", async () => {
  const bytes = parquet(
    Array.from({ length: 40 }, (_, i) => `row ${i}`),
    Array.from({ length: 40 }, (_, i) => i % 2),
  );
  let [open, most] = [0, 0];
  const folder: DataFolder = {
    name: "counted",
    files: ["train.parquet"],
    open: () => {
      most = Math.max(most, ++open);
      return Promise.resolve({ ...byteSource(bytes, "train.parquet"), close: () => Promise.resolve(void open--) });
    },
  };
  const data = await loadDataset(folder, { split: "train" });
  const order = [...shuffledIndices(40, 1)];
  const rows = await Promise.all(order.map((i) => data.row(i)));
  expect(rows).toEqual(order.map((i) => ({ text: `row ${i}`, label: i % 2 })));
  expect([open, most]).toEqual([0, 1]);
});

test("rows in memory: take, map, counted classes", async () => {
  const data = Dataset.fromRows([
    { text: "<b>a</b>", label: 0 },
    { text: "b", label: 2 },
  ]);
  expect(data.labels).toEqual({ numLabels: 3 });
  const clean = data.map((row) => ({ ...row, text: cleanHtml(row.text) }));
  expect(await rowsOf(clean.take(1))).toEqual([{ text: "a", label: 0 }]);
});

test("cleanHtml", () => {
  expect(cleanHtml("One.<br /><br />Two &amp; three&#39;s <i>best</i>\n&#x2026;")).toBe("One. Two & three's best …");
  expect(cleanHtml("I <3 it: 3 < 4 > 2 &unknown; &amp;lt;")).toBe("I <3 it: 3 < 4 > 2 &unknown; &lt;");
});

const shared = join(process.env.GPUGRAD_SHARED ?? "../shared", "data");

describe.skipIf(!existsSync(shared))(`real data (skipped when ${shared} is absent)`, () => {
  test("IMDB: 25,000 rows, 12,500 of each class, in the file's order", async () => {
    const data = await loadDataset(join(shared, "imdb"), { split: "train" });
    expect(data.length).toBe(25_000);
    expect(data.labels).toEqual({ numLabels: 2, names: ["neg", "pos"] });
    expect((await data.row(0)).text).toMatch(/^Story of a man who has unnatural feelings for a pig/);
    expect([(await data.row(12_499)).label, (await data.row(12_500)).label]).toEqual([0, 1]);
  });

  test("SST-2: gzip, TSV with quotes", async () => {
    const { train, validation } = await loadDatasetDict(join(shared, "sst2"));
    expect([train!.length, validation!.length]).toEqual([67_349, 872]);
    expect(await validation!.row(0)).toEqual({ text: "it 's a charming and often affecting journey . ", label: 1 });
  });
});
