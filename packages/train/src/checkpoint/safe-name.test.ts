import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { safeName } from "./safe-name.ts";

test.each([
  ["plain", "plain"],
  ["bert-base, 3 epochs (lr 5e-5)", "bert-base, 3 epochs (lr 5e-5)"],
  ["überraschung 🙂", "überraschung 🙂"],
  ["..", "-"],
  [".", "-"],
  ["", "-"],
  ["  ", "-"],
  ["../../x", "-..-x"],
  ["a/../../b", "a-..-..-b"],
  ["C:\\Windows", "C--Windows"],
  [".hidden", "-hidden"],
  ["trailing. . ", "trailing"],
  ["a\0b\nc\x1b[31m", "a-b-c-[31m"],
  ["nul", "-nul"],
  ["COM1.txt", "-COM1.txt"],
  ["constant", "constant"],
  ["\ud800x", "\ufffdx"],
])("%j is named %j", (text, name) => {
  expect(safeName(text)).toBe(name);
});

test("is a name that file systems take, however long the text", () => {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-name-"));
  const texts = ["x".repeat(5000), "🙂".repeat(500), "é".repeat(101) + "x"];
  for (const text of texts) mkdirSync(join(folder, `${safeName(text)}_results.json.0123abcd.tmp`));
  const names = readdirSync(folder);
  expect(names).toHaveLength(3);
  expect(names.some((name) => name.includes("\ufffd"))).toBe(false);
  rmSync(folder, { recursive: true });
});
