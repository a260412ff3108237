import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { timesWhenDoubled } from "../../../test/doubling.ts";
import { DataError } from "../../errors.ts";
import type { DataFolder } from "./folder.ts";
import { parseCard } from "./card.ts";
import { duplicateKey } from "./duplicate-key.ts";
import { dataFolder, getDatasetSplitNames, loadDataset, loadDatasetDict, type LoadOptions } from "../load-dataset.ts";

let root = "";
beforeAll(async () => void (root = await mkdtemp(join(tmpdir(), "gpugrad-readers-"))));
afterAll(() => rm(root, { recursive: true }));

type Content = string | Uint8Array;

/** The rows of one file. */
async function rowsOf(file: string, content: Content, options: LoadOptions = {}) {
  const train = await loadDataset(dataFolder({ [file]: content }), { split: "train", ...options });
  const rows = [];
  for await (const row of train) rows.push(row);
  return rows;
}

const parquetOf = (columns: Parameters<typeof parquetWriteBuffer>[0]["columnData"]) =>
  new Uint8Array(parquetWriteBuffer({ columnData: columns }));
const parquetRows = (rows: number, text: (i: number) => string) =>
  parquetOf([
    { name: "text", data: Array.from({ length: rows }, (_, i) => text(i)), type: "STRING" },
    { name: "label", data: Array.from({ length: rows }, (_, i) => i % 2), type: "INT32" },
  ]);
const header = "text,label\n";

/** A file of `mebibytes` that exists only while it is read: 1,024 bytes a line, the first of them `head`. */
function virtualFile(file: string, head: string, line: string, mebibytes: number): DataFolder {
  const padded = (text: string) => text.replace("_", "x".repeat(1024 - text.length)) + "\n";
  const [first, block] = [Buffer.from(padded(head)), Buffer.from(padded(line).repeat(1024))];
  const read = (offset: number, length: number) => {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length;) at += block.copy(bytes, at, (offset + at) % block.length);
    if (offset < first.length) first.copy(bytes, 0, offset);
    return Promise.resolve(bytes);
  };
  const source = { name: file, size: mebibytes * block.length, read, close: () => Promise.resolve() };
  return { name: "virtual", files: [file], open: () => Promise.resolve(source) };
}

test.each([
  ["train.csv", "text,label,_", "_,1,a"],
  ["train.jsonl", '{"text":"_","label":0}', '{"text":"_","label":1}'],
])("the memory that a large file takes does not grow with it: %s", async (file, head, line) => {
  const before = process.resourceUsage().maxRSS;
  const data = await loadDataset(virtualFile(file, head, line, 256), { split: "train" });
  let characters = 0;
  for (let i = 0; i < data.length; i += 16) characters += (await data.row(i)).text.length;
  expect(data.length).toBe(256 * 1024 - Number(file === "train.csv"));
  expect(characters).toBeGreaterThan(15e6);
  expect((process.resourceUsage().maxRSS - before) / 1024).toBeLessThan(160); // MiB, 40 of them for rows read last
});

describe("time is in proportion to the size of a file", () => {
  const keys = (n: number) => Array.from({ length: n }, (_, i) => `"${i}":1`).join();
  test.each<[string, string, (n: number) => Content, number]>([
    ["CSV rows", "train.csv", (n) => header + "a,1\n".repeat(n), 8000],
    ["CSV of quotes", "train.csv", (n) => `${header}"${'""'.repeat(n)}",1\n`, 100_000],
    ["CSV of commas in a field", "train.csv", (n) => `${header}"${",".repeat(n)}",1\n`, 200_000],
    ["CSV with too many fields", "train.csv", (n) => `${header}${",".repeat(n)}\n`, 200_000],
    ["CSV of columns", "train.csv", (n) => `text,label${",x".repeat(n)}\n`, 100_000],
    ["CSV with a quote that nothing closes", "train.csv", (n) => `${header}"${"a,\n".repeat(n)}`, 100_000],
    ["JSONL rows", "train.jsonl", (n) => '{"text":"a","label":1}\n'.repeat(n), 5000],
    ["JSONL of escapes", "train.jsonl", (n) => `{"text":"${'\\\\\\"'.repeat(n)}","label":1}`, 100_000],
    ["JSONL, nested", "train.jsonl", (n) => `{"text":${"[".repeat(n)}${"]".repeat(n)}}`, 50_000],
    ["JSONL of many keys", "train.jsonl", (n) => `{${keys(n)}}`, 30_000],
    ["JSON of columns", "train.json", (n) => `{"text":[${'"a",'.repeat(n)}"b"],"label":[${"1,".repeat(n)}0]}`, 8000],
    ["TSV rows", "train.tsv", (n) => "text\tlabel\n" + "a\t1\n".repeat(n), 8000],
    ["TSV of quotes", "train.tsv", (n) => `text\tlabel\n${'"'.repeat(n)}\t1\n`, 200_000],
    ["TSV with too many fields", "train.tsv", (n) => `text\tlabel\n${"\t".repeat(n)}\n`, 200_000],
    ["parquet rows", "train.parquet", (n) => parquetRows(n, (i) => `row ${i}`), 8000],
    ["parquet of one long text", "train.parquet", (n) => parquetRows(2, () => "x".repeat(n)), 200_000],
    ["gzip", "train.csv.gz", (n) => gzipSync(header + "a,1\n".repeat(n)), 8000],
  ])("%s", async (_, file, content, n) => {
    const made = new Map([n, 2 * n, Math.ceil(n / 4)].map((size) => [size, content(size)]));
    const work = (size: number) => rowsOf(file, made.get(size)!, { onBadRow: "skip" }).catch((error: Error) => error);
    expect(await timesWhenDoubled(work, n)).toBeLessThan(3);
  });

  test.each<[string, (n: number) => string]>([
    ["brackets", (n) => `a: ${"[".repeat(n)}`],
    ["closing brackets", (n) => "]".repeat(n)],
    ["lists in lists", (n) => "- ".repeat(n / 2)],
    ["tags", (n) => "!a ".repeat(n / 3)],
    ["aliases", (n) => `- &a 1\n${"- *a\n".repeat(n / 5)}`],
    ["no end", (n) => "a\n".repeat(n / 2)],
  ])("the front matter of a card: %s", async (_, text) => {
    const work = (n: number) => parseCard(`---\n${text(n)}\n---\n`).catch((error: Error) => error);
    expect(await timesWhenDoubled(work, 1 << 16)).toBeLessThan(3);
  });

  test("a card that repeats a list by aliases is refused", async () => {
    const text = `x: &x [${"a,".repeat(20_000)}]\nconfigs: [{data_files: [${"{split: train, path: *x},".repeat(2000)}]}]`;
    await expect(parseCard(`---\n${text}\n---\n`)).rejects.toThrow("names more than 100,000 files and classes");
  });

  test("the patterns of a card, for very many files", async () => {
    const folder = (pattern: string, files: number) =>
      dataFolder({
        "README.md": `---\nconfigs:\n- data_files: "${pattern}"\n---\n`,
        ...Object.fromEntries(Array.from({ length: files }, (_, i) => [`${"a".repeat(200)}${i}.csv`, "text\n"])),
      });
    expect(await getDatasetSplitNames(folder("**a*.csv", 3))).toEqual(["train"]);
    expect(await getDatasetSplitNames(folder(`${"**a".repeat(12)}*.csv`, 3))).toEqual(["train"]);
    await expect(getDatasetSplitNames(folder(`${"**a".repeat(300)}x`, 3000))).rejects.toThrow(
      "too many for 3001 files",
    );
    await expect(getDatasetSplitNames(folder("*a".repeat(600), 3))).rejects.toThrow("at most 1024 are allowed");
  });
});

describe("a .gz file", () => {
  const rows = `${header}${"so so,1\nfine,0\n".repeat(100)}`;

  test("may be of several parts; cut, it is refused by name", async () => {
    const parts = Buffer.concat([gzipSync("text,label\na,"), gzipSync("1\nb,0\n")]);
    expect((await rowsOf("train.csv.gz", parts)).map(({ label }) => label)).toEqual([1, 0]);
    const whole = gzipSync(Array.from({ length: 500 }, (_, i) => `text ${Math.sin(i)}`).join("\n"));
    for (const damaged of [whole.subarray(0, 900), whole.subarray(0, 5), Buffer.from(whole).fill(7, 100, 120)]) {
      const read = rowsOf("train.jsonl.gz", damaged);
      await expect(read).rejects.toThrow(/^files\/train\.jsonl\.gz: not a whole gzip file/);
    }
    await expect(rowsOf("train.csv", whole)).rejects.toThrow("train.csv: packed by gzip. Its name has to end in .gz");
  });

  test("unpacks to no more than it may", async () => {
    await expect(rowsOf("train.csv.gz", gzipSync(rows), { maxUnpackedBytes: 1000 })).rejects.toThrow(
      /train\.csv\.gz: unpacks to more than 1000 bytes.*gunzip.*--max_unpacked_bytes/,
    );
    expect((await rowsOf("train.csv.gz", gzipSync(rows), { maxUnpackedBytes: 2000 })).length).toBe(200);
    const bomb = gzipSync(Buffer.alloc(100 << 20, 97));
    await expect(rowsOf("train.json.gz", bomb)).rejects.toThrow(/unpacks to more than 200 times its \d+ bytes/);
  });
});

describe("columns", () => {
  const manyKeys = (row: number) => `{${Array.from({ length: 100 }, (_, k) => `"${row}-${k}":1`).join()}}`;
  const labels = ["text", "label", "label"].map((name) => ({ name, data: ["a"], type: "STRING" as const }));
  test.each<[string, Content, RegExp]>([
    ["train.csv", "text,label,label\na,1,0\n", /2 columns are called label: column 2, column 3 of .*--label_column/],
    ["train.csv", "text,text,label\na,b,1\n", /2 columns are called text: column 1, column 2/],
    ["train.tsv", "text\tLabel\tlabel\na\t1\t0\n", /2 columns are called Label/],
    ["train.jsonl", '{"text":"a"}\n{"text":"b","label":1,"label":0}', /line 2: two values for the key "label"/],
    ["train.jsonl", '{"text":"a","label":1,"l\\u0061bel":0}', /line 1: two values for the key "label"/],
    ["train.json", '[{"text":"a","label":1,"label":0}]', /an object has two values for the key "label"/],
    ["train.parquet", parquetOf(labels), /2 columns are called label/],
    ["train.csv", `text${",x".repeat(10_000)}\n`, /train\.csv, line 1: more than 10,000 columns/],
    [
      "train.jsonl",
      Array.from({ length: 101 }, (_, i) => manyKeys(i)).join("\n"),
      /line 101: more than 10,000 columns/,
    ],
  ])("%s %#", async (file, content, message) => {
    const error = await rowsOf(file, content).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(message);
  });

  test("of one name that are not used do no harm", async () => {
    expect(await rowsOf("train.csv", "id,text,label,id,,\n1,a,0,2,,\n")).toEqual([{ text: "a", label: 0 }]);
  });

  test("may have the names of what every object has", async () => {
    const names = { textColumn: "__proto__", labelColumn: "constructor" };
    const columns = [
      { name: "__proto__", data: ["a", "b"], type: "STRING" as const },
      { name: "constructor", data: [1, 0], type: "INT32" as const },
    ];
    for (const [file, content] of [
      ["train.csv", "__proto__,constructor\na,1\nb,0\n"],
      ["train.jsonl", '{"__proto__":"a","constructor":1}\n{"__proto__":"b","constructor":0}'],
      ["train.json", '{"__proto__":["a","b"],"constructor":[1,0]}'],
      ["train.parquet", parquetOf(columns)],
    ] as const) {
      const rows = await rowsOf(file, content, names);
      expect(
        rows.map(({ text, label }) => `${text}${label}`),
        file,
      ).toEqual(["a1", "b0"]);
    }
    const absent = rowsOf("train.jsonl", '{"text":"a","toString":1}\n{"text":"b"}', { labelColumn: "toString" });
    await expect(absent).rejects.toThrow("line 2: no label: column toString holds nothing");
  });

  test("of JSONL are those of all rows", async () => {
    const line = (i: number) => JSON.stringify(i < 1500 ? { text: `t${i}` } : { text: `t${i}`, label: i % 2 });
    const content = Array.from({ length: 1600 }, (_, i) => line(i)).join("\n");
    const rows = await rowsOf("train.jsonl", content, { onBadRow: "skip" });
    expect([rows.length, rows[1]]).toEqual([100, { text: "t1501", label: 1 }]);
  });

  test("a key that occurs twice is found wherever it is", () => {
    expect(duplicateKey('{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}')).toBeUndefined();
    expect(duplicateKey('{"a":"\\\\","b":"\\"a\\":","c":"{"}')).toBeUndefined();
    expect(duplicateKey('[{"x":[{"a":1,"b":2,"a":3}]}]')).toBe("a");
    expect(duplicateKey('{"__proto__":1,"__proto__":2}')).toBe("__proto__");
  });
});

describe("labels of several files", () => {
  const load = (train: string, validation: string, options: LoadOptions = {}) =>
    loadDatasetDict(dataFolder({ "train.csv": train, "validation.csv": validation }), options);

  test.each([
    ["numbers", "a,0\nb,1\n", "a,1\nb,2\n", /validation\.csv, line 3: a class id is not within 0 to 1: .* "2"/],
    ["texts", "a,x\nb,y\n", "a,x\nb,z\n", /validation\.csv, line 3: a label is none of \[x, y\]: .* "z"/],
    ["fractions", "a,0\nb,1\n", "a,0.5\n", /validation\.csv, line 2: a class id is not within 0 to 1/],
    ["texts for numbers", "a,0.5\n", "a,good\n", /validation\.csv, line 2: a label is not a number/],
  ])("a class that training lacks is an error when they are opened: %s", async (_, train, validation, message) => {
    await expect(load(header + train, header + validation)).rejects.toThrow(message);
  });

  test("whole numbers are numbers where training has fractions, or where they are asked for", async () => {
    const [fractions, whole] = [`${header}a,0.5\nb,3\n`, `${header}a,3\nb,4000\n`];
    expect((await load(fractions, whole))["validation"]!.labels).toEqual({ numLabels: 1 });
    const { train } = await load(whole, fractions, { numLabels: 1 });
    expect([train!.labels.numLabels, (await train!.row(1)).label]).toEqual([1, 4000]);
  });

  test("two lists of files for one split are refused", async () => {
    const files = { dev: "a.csv", validation: "b.csv" };
    await expect(loadDatasetDict(files)).rejects.toThrow("two lists of files for one split");
  });
});

describe("files that are not what they should be", () => {
  test.each<[string, Content, RegExp]>([
    ["train.csv", Buffer.from("text,label\na,1\n", "utf16le"), /train\.csv: not text: it has zero bytes.*UTF-16/],
    ["train.csv", "", /train\.csv: empty\. The first line names the columns/],
    ["train.json", "", /train\.json: not JSON/],
    ["train.json", Uint8Array.from([0x5b, 0xff, 0x5d]), /train\.json: not UTF-8/],
    ["train.json", "null", /train\.json: expected an array of objects, found null/],
    ["train.json", '[{"text":"a"}, [[1]]]', /row 1: expected an object, found a list of 1/],
    ["train.parquet", "", /train\.parquet: not a readable parquet file/],
    ["train.parquet", "PAR1PAR1", /train\.parquet: not a readable parquet file/],
    ["pos/1.txt", Uint8Array.from([0xff, 0x61]), /pos\/1\.txt: not UTF-8/],
  ])("%s %#", async (file, content, message) => {
    const error = await rowsOf(file, content).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(message);
  });

  test("a parquet file of damaged bytes is read or refused by name, and leaves no promise behind", async () => {
    const texts = Array.from({ length: 40 }, (_, i) => (i % 7 === 3 ? null : `text ${i % 5}`));
    const whole = parquetOf([
      { name: "text", data: texts, type: "STRING" },
      { name: "label", data: texts.map((_, i) => BigInt(i % 3)), type: "INT64" },
    ]);
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    let refused = 0;
    for (let at = 4; at < whole.length; at += 3) {
      const damaged = whole.slice();
      damaged[at]! ^= [0xff, 0x80, 0x01][at % 3]!;
      const error = await rowsOf("train.parquet", damaged, { onBadRow: "skip" }).catch((error: unknown) => error);
      if (!(error instanceof Error)) continue;
      refused++;
      expect(error.name, `byte ${at}: ${error.message}`).toBe("DataError");
      expect(error.message).toContain("files/train.parquet");
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
    expect(refused).toBeGreaterThan(20);
  });

  test("a folder, and a file in place of a folder", async () => {
    const folder = await mkdtemp(join(root, "f-"));
    await mkdir(join(folder, "train.csv"));
    await writeFile(join(folder, "file"), "");
    await expect(loadDatasetDict({ train: join(folder, "train.csv") })).rejects.toThrow(/train\.csv: not a file/);
    await expect(loadDatasetDict({ train: join(folder, "file", "x.csv") })).rejects.toThrow(
      /x\.csv: .*(ENOTDIR|folder)/,
    );
  });

  test("a row of 17 MB is bad, those around it are not", async () => {
    const line = (text: string) => `${JSON.stringify({ text, label: 1 })}\n`;
    const content = line("a") + line("b".repeat(17 << 20)) + line("c");
    const train = await loadDataset(dataFolder({ "train.jsonl": content }), { split: "train", onBadRow: "skip" });
    expect([train.length, train.badRows.first]).toEqual([2, ["files/train.jsonl, line 2: longer than 16 MiB."]]);
    expect((await train.row(1)).text).toBe("c");
  });

  test("a byte-order mark is not part of a text, nor are CR and LF at the end of lines", async () => {
    for (const [file, content] of [
      ["train.csv", "\ufefftext,label\r\né,1\r\nb,0\r\n"],
      ["train.csv", "text,label\ré,1\rb,0\r"],
      ["train.jsonl", '\ufeff{"text":"é","label":1}\r\n{"text":"b","label":0}\r\n'],
      ["train.json", '\ufeff[{"text":"é","label":1},{"text":"b","label":0}]'],
      ["train.json", '{"version":1,"data":[{"text":"é","label":1},{"text":"b","label":0}]}'],
      ["train.json", '{"data":"of 2026","text":["é","b"],"label":[1,0]}'],
      ["train.csv.gz", gzipSync("\ufefftext,label\né,1\nb,0\n")],
    ] as const) {
      expect((await rowsOf(file, content)).map(({ text, label }) => `${text}${label}`)).toEqual(["é1", "b0"]);
    }
  });
});

describe("cards", () => {
  const front = (text: string) => parseCard(`---\n${text}\n---\n# Title`, "a/README.md");

  test("what is of another kind than it should be says nothing", async () => {
    for (const text of [
      ...["", "3", "[1, 2]", "configs: 3", "configs: [null, 1, {data_files: {split: 3}}]"],
      "dataset_info: [{features: [null, 3, {name: a, dtype: {class_label: {names: 3}}}]}]",
    ]) {
      const { dataFiles, classNames } = await front(text);
      expect(
        [...dataFiles.values()].flatMap((splits) => [...splits.values()].flat()),
        text,
      ).toEqual([]);
      expect(classNames.size, text).toBe(0);
    }
  });

  test("names of every kind are names", async () => {
    const card = await front(`
configs:
- {config_name: __proto__, data_files: [{split: constructor, path: a.csv}, {split: constructor, path: [b.csv, 7]}]}
dataset_info:
  features:
  - {name: toString, dtype: {class_label: {names: {'1': 2020, '0': true}}}}`);
    expect([...card.dataFiles.get("__proto__")!]).toEqual([["constructor", ["a.csv", "b.csv", "7"]]]);
    expect([...card.classNames.get("default")!]).toEqual([["toString", ["true", "2020"]]]);
  });

  test("class names with gaps, and a front matter without an end, are refused by name", async () => {
    await expect(
      front("dataset_info: {features: [{name: label, dtype: {class_label: {names: {'0': a, '2': b}}}}]}"),
    ).rejects.toThrow("a/README.md: label has 2 class names, but none for id 1.");
    const endless = parseCard(`---\n${"a: 1 # \n".repeat(1 << 18)}`, "a/README.md");
    await expect(endless).rejects.toThrow("more than 1048576 characters");
    expect((await parseCard("---\nno end")).dataFiles.size).toBe(0);
  });
});
