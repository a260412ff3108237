import { byteSource } from "@gpugrad/bert";
import { expect, test } from "vitest";
import { findRecords, splitFields, type RecordFormat } from "./records.ts";

const csv: RecordFormat = { delimiter: ",", quotes: true };
const tsv: RecordFormat = { delimiter: "\t", quotes: false };

async function recordsOf(text: string, format: RecordFormat) {
  const bytes = new TextEncoder().encode(text);
  const { starts, ends, lines } = await findRecords(byteSource(bytes, "file"), format);
  const records = [...starts].map((start, i) => new TextDecoder().decode(bytes.subarray(start, ends[i])));
  return { fields: records.map((record) => splitFields(record, format)), lines: [...lines], records };
}

// Expected: [row for row in csv.reader(io.StringIO(text, newline="")) if row], of Python 3.11.
test.each<[string, string[][]]>([
  ['a,b\n"x, ""y""",z\n', [["a", "b"], ['x, "y"', "z"]]], // prettier-ignore
  ['"one\r\ntwo",2\r\nthree,4', [["one\r\ntwo", "2"], ["three", "4"]]], // prettier-ignore
  ['5" disk,6" nails\n', [['5" disk', '6" nails']]],
  ['"a"b,c\n', [["ab", "c"]]],
  ['"a"b"c,d"\n', [['ab"c', 'd"']]],
  ['""""\n', [['"']]],
  ['"",\n', [["", ""]]],
  [',"\n",\n\n\r\nlast', [["", "\n", ""], ["last"]]], // prettier-ignore
  ["a,b\rc,d\r", [["a", "b"], ["c", "d"]]], // prettier-ignore
  ['a, "b,c"\n', [["a", ' "b', 'c"']]],
  ["é,豈\n😀,\u2028\n", [["é", "豈"], ["😀", "\u2028"]]], // prettier-ignore
])("CSV %j is read as Python's csv reads it", async (text, expected) => {
  expect((await recordsOf(text, csv)).fields).toEqual(expected);
});

test("lines are counted through quotes, blank lines and every kind of line end", async () => {
  const { lines } = await recordsOf('h\n"a\nb\r\nc"\r\n\r\n\nd\re\n', csv);
  expect(lines).toEqual([1, 2, 7, 8]);
});

test("a quote that nothing closes is reported with the line where it opens", async () => {
  await expect(recordsOf('a,b\nc,"d\ne,f\n', csv)).rejects.toThrow("file, line 2: a quote opens a field");
});

test("TSV: a quote is a character; JSONL: only \\n ends a line; a byte-order mark is not text", async () => {
  expect((await recordsOf('say "no\t"1\n', tsv)).fields).toEqual([['say "no', '"1']]);
  const { records, lines } = await recordsOf('\ufeff{"a":1}\r\n \t\n{"b":"\\r"}', { quotes: false });
  expect(records).toEqual(['{"a":1}\r', '{"b":"\\r"}']);
  expect(lines).toEqual([1, 3]);
});

test("records that lie across the pieces in which a file is read", async () => {
  const long = "x".repeat(700_000);
  const text = `"${long}\n""${long}",1\r\n`.repeat(4);
  const { fields, lines } = await recordsOf(text, csv);
  expect(fields.length).toBe(4);
  for (const field of fields) expect(field).toEqual([`${long}\n"${long}`, "1"]);
  expect(lines).toEqual([1, 3, 5, 7]);
});
