import { expect, test } from "vitest";
import { timesWhenDoubled } from "../../test/doubling.ts";
import { csvCell } from "./csv-cell.ts";

test.each([
  ["good film", "good film"],
  ["a, b", '"a, b"'],
  ['say "no"', '"say ""no"""'],
  ["two\nlines", '"two\nlines"'],
  [-0.5, "-0.5"],
  ["-1e-7", "-1e-7"],
  [-Infinity, "-Infinity"],
  ["=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"],
  ["+1+1", "'+1+1"],
  ["-2+3", "'-2+3"],
  ["@SUM(1)", "'@SUM(1)"],
  ["  =1+1", "'  =1+1"],
  ["\t=1", "'\t=1"],
  ["\r=1", '"\'\r=1"'],
  ['=HYPERLINK("http://x", "y")', '"\'=HYPERLINK(""http://x"", ""y"")"'],
])("%j", (value, cell) => {
  expect(csvCell(value)).toBe(cell);
});

test.each([" ", "1", '"', "="])("takes time in proportion to the length: %j", async (piece) => {
  expect(await timesWhenDoubled((n) => csvCell(piece.repeat(n)), 1 << 19)).toBeLessThan(3);
});
