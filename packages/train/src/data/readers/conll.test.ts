import { byteSource } from "@gpugrad/bert";
import { expect, test } from "vitest";
import { openTable } from "./open-table.ts";

const open = (text: string, file = "x.conll") => openTable(file, () => Promise.resolve(byteSource(text, file)));

test("sentences end at empty lines; the tag is in the last column; documents have a line of their own", async () => {
  const table = await open(
    "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\r\n\n\n-DOCSTART- -X- O O\n\nBonn NNP B-NP B-LOC",
  );
  expect(table.columns).toEqual(["tokens", "tags"]);
  expect(await table.read(0, 2, ["tokens", "tags"])).toEqual([
    { tokens: ["EU", "rejects"], tags: ["B-ORG", "O"] },
    { tokens: ["Bonn"], tags: ["B-LOC"] },
  ]);
  expect([table.length, table.where(1)]).toEqual([2, "x.conll, line 9"]);
});

test("tabs, two columns, and a token that is a number sign", async () => {
  const table = await open("#\tO\nOslo\tB-LOC\n", "x.bio");
  expect(await table.read(0, 1, [])).toEqual([{ tokens: ["#", "Oslo"], tags: ["O", "B-LOC"] }]);
});

test("a line without a tag is a bad sentence, named by its line", async () => {
  const table = await open("a O\nb\n\nc O\n");
  const [bad, good] = await table.read(0, 2, []);
  expect((bad as Error).message).toContain("x.conll, line 2: 1 column, where the first line has 2: ");
  expect(good).toEqual({ tokens: ["c"], tags: ["O"] });
});

test(".txt holds what is said", async () => {
  const of = (text: string, textFiles: "lines" | "conll") =>
    openTable("x.txt", () => Promise.resolve(byteSource(text, "x.txt")), { textFiles });
  expect(await (await of("one\n\ntwo words\n", "lines")).read(0, 2, ["text"])).toEqual([
    { text: "one" },
    { text: "two words" },
  ]);
  expect((await of("a O\n", "conll")).length).toBe(1);
  await expect(open("a", "x.txt")).rejects.toThrow("x.txt: not a known kind of file");
});
