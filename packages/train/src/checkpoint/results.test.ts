import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { saveMetrics } from "./results.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "gpugrad-results-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const read = (name: string): string => readFileSync(join(folder, `${name}_results.json`), "utf8");

test("a file for each split, and one of all, in Transformers' layout", async () => {
  await saveMetrics(folder, "train", { train_loss: 0.5, epoch: 3 });
  await saveMetrics(folder, "eval", { eval_loss: 0.25, eval_accuracy: 0.75, epoch: 3 });
  await saveMetrics(folder, "test", { test_loss: NaN, test_mae: Infinity });
  expect(read("train")).toBe('{\n    "epoch": 3,\n    "train_loss": 0.5\n}\n');
  expect(JSON.parse(read("eval"))).toEqual({ epoch: 3, eval_accuracy: 0.75, eval_loss: 0.25 });
  expect(JSON.parse(read("test"))).toEqual({ test_loss: null, test_mae: null });
  const all = JSON.parse(read("all")) as object;
  expect(all).toEqual({ epoch: 3, eval_accuracy: 0.75, eval_loss: 0.25, test_loss: null, test_mae: null, train_loss: 0.5 }); // prettier-ignore
  expect(Object.keys(all)).toEqual(Object.keys(all).sort());
});

test("a new training forgets the results of the one before", async () => {
  await saveMetrics(folder, "train", { train_loss: 0.5 });
  await saveMetrics(folder, "test", { test_accuracy: 0.9 });
  await saveMetrics(folder, "train", { train_loss: 0.4 });
  expect(readdirSync(folder).sort()).toEqual(["all_results.json", "train_results.json"]);
  expect(JSON.parse(read("all"))).toEqual({ train_loss: 0.4 });
});

test.each(["[1]", "null", "5", "{", ""])("results that are %j are written over", async (content) => {
  writeFileSync(join(folder, "all_results.json"), content);
  await saveMetrics(folder, "eval", { eval_loss: 1 });
  expect(JSON.parse(read("all"))).toEqual({ eval_loss: 1 });
});

test("not among all where that isn't wanted", async () => {
  await saveMetrics(folder, "eval", { eval_loss: 1 }, { combined: false });
  expect(readdirSync(folder)).toEqual(["eval_results.json"]);
});

test.each(["../up", "a/b", "..", "", "a\\b"])("the split %j is refused by name", async (split) => {
  await expect(saveMetrics(folder, split, {})).rejects.toThrow(
    `saveMetrics: the split ${JSON.stringify(split)} can't be`,
  );
  expect(readdirSync(folder)).toEqual([]);
});
