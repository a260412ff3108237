import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inputRows, linesOf, type BadRow, type InputOptions, type TextRow } from "./input-rows.ts";

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), "input-rows-"))));
afterAll(() => rm(dir, { recursive: true }));

async function rowsOf(name: string, content: string | Uint8Array, options: InputOptions = {}) {
  const file = join(dir, name);
  await writeFile(file, content);
  const rows: (TextRow | BadRow)[] = [];
  for await (const row of inputRows({ file, ...options })) rows.push(row);
  return rows;
}

describe("lines of text", () => {
  it("end in \\n or \\r\\n; the last may have no end; an empty line is an empty text", async () => {
    const rows = await rowsOf("a.txt", "\uFEFFone\r\n\n  two\nthree");
    expect(rows).toEqual(["one", "", "  two", "three"].map((text) => ({ text })));
    expect(await rowsOf("a.txt.gz", gzipSync("one\ntwo\n"))).toEqual([{ text: "one" }, { text: "two" }]);
    expect(await rowsOf("a.txt", "")).toEqual([]);
  });

  it("come whole out of chunks that cut characters and lines", async () => {
    const bytes = Buffer.from("grün\r\n日本\n\nüü");
    for (let size = 1; size < 8; size++) {
      const chunks = async function* () {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      };
      const texts = [];
      for await (const line of linesOf(chunks())) texts.push(line.text());
      expect(texts).toEqual(["grün", "日本", "", "üü"]);
    }
  });

  it("that are not UTF-8 or too long are bad, and the next ones are read", async () => {
    const long = Buffer.alloc((16 << 20) + 1, "x");
    const rows = await rowsOf(
      "b.txt",
      Buffer.concat([Buffer.from("a\n\xE9t\xE9\n", "latin1"), long, Buffer.from("\nb\n")]),
    );
    expect(rows).toHaveLength(4);
    expect(rows[1]).toEqual({ error: expect.stringMatching(/^b\.txt, line 2: not UTF-8: .*iconv/) as string });
    expect(rows[2]).toEqual({ error: "b.txt, line 3: longer than 16 MiB." });
    expect(rows[3]).toEqual({ text: "b" });
  });
});

describe("JSONL", () => {
  it("finds texts and pairs by their usual names; empty lines are skipped", async () => {
    const lines = ['{"label": 1, "text": "a\\nb"}', "", '{"sentence1": "c", "sentence2": "d"}', '{"review": "e"}'];
    expect(await rowsOf("a.jsonl", lines.join("\n"))).toEqual([
      { text: "a\nb" },
      { text: "c", text_pair: "d" },
      { text: "e" },
    ]);
  });

  it("takes the columns that are named, and then needs no extension", async () => {
    const options = { textColumn: "q", textPairColumn: "a" };
    expect(await rowsOf("lines", '{"q": "x", "a": "y", "text": "z"}', options)).toEqual([
      { text: "x", text_pair: "y" },
    ]);
    expect(await rowsOf("lines", '{"text": "z"}', { format: "jsonl" })).toEqual([{ text: "z" }]);
    expect(await rowsOf("a.jsonl", '{"text": "z"}', { format: "text" })).toEqual([{ text: '{"text": "z"}' }]);
  });

  it("says what is wrong with a line, and where", async () => {
    const lines = ["oops", "[1]", '{"txt": "a"}', '{"text": 3}', '{"text": "good"}'];
    const rows = await rowsOf("bad.jsonl", lines.join("\n"));
    const errors = [
      /^bad\.jsonl, line 1: not JSON: .*: oops/,
      /line 2: expected an object, found a list of 1/,
      /line 3: no text: .*columns \[txt\].*--text_column/,
      /line 4: no text: column text holds 3/,
    ];
    for (const [i, error] of errors.entries()) expect((rows[i] as BadRow).error).toMatch(error);
    expect(rows[4]).toEqual({ text: "good" });
  });
});

describe("tables", () => {
  it("are read as datasets are, with what is wrong in its place", async () => {
    const csv = 'id,review\n1,"a, b"\n2\n3,"c ""d""\ne"\n4,f\n';
    const rows = await rowsOf("t.csv", csv);
    expect(rows.map((row) => ("text" in row ? row.text : row.error))).toEqual([
      "a, b",
      expect.stringMatching(/^t\.csv, line 3: 1 fields for 2 columns/) as string,
      'c "d"\ne',
      "f",
    ]);
    expect(await rowsOf("t.tsv", "sentence\tlabel\na\t1\n")).toEqual([{ text: "a" }]);
    expect(await rowsOf("t.json", '[{"text": "a"}, {"text": null}]')).toEqual([
      { text: "a" },
      { error: expect.stringMatching(/t\.json.*no text: column text holds null/) as string },
    ]);
  });

  it("without the column that is named can't be read", async () => {
    await expect(rowsOf("t.csv", "a,b\n1,2\n", { textColumn: "c" })).rejects.toThrow(/--text_column.*\[a, b\]/);
    await expect(rowsOf("t.csv", "a,b\n1,2\n")).rejects.toThrow(/no column that is known to hold the text/);
  });
});

it("a file that isn't there is an error", async () => {
  await expect(inputRows({ file: join(dir, "none.txt") }).next()).rejects.toThrow(/none\.txt: no such file/);
});
