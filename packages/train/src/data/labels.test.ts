import { describe, expect, test } from "vitest";
import { timesWhenDoubled } from "../../test/doubling.ts";
import { countLabels, LabelValues, type KnownLabels } from "./labels.ts";

/** What labels mean: their number of classes, the names, and each row's id or what is wrong with it. */
function read(labels: readonly unknown[], known: KnownLabels = {}) {
  const values = new LabelValues("a.csv, column label", known);
  const codes = labels.map((label) => values.addRow(label));
  const reader = values.reader();
  const different = values.values;
  const meaningOf = (code: number) => reader.read(different[code]);
  const rows = codes.map((code) => (typeof code === "number" ? meaningOf(code) : Array.isArray(code) ? code.map(meaningOf) : code)); // prettier-ignore
  return { numLabels: reader.numLabels, names: reader.names, ...(reader.multiLabel && { multiLabel: true }), rows };
}

describe("labels", () => {
  test.each([
    [["1", "0", " 1 "], {}, { numLabels: 2, rows: [1, 0, 1] }],
    [["1.0", 0, true], {}, { numLabels: 2, rows: [1, 0, 1] }],
    [["0.5", "1"], {}, { numLabels: 1, rows: [0.5, 1] }],
    [["3", "12"], { numLabels: 1 }, { numLabels: 1, rows: [3, 12] }],
    [["-1", "-1"], {}, { numLabels: 0, rows: [-1, -1] }],
    [["b", "a", "b "], {}, { numLabels: 2, names: ["a", "b"], rows: [1, 0, 1] }],
    [["1", "2", "many"], {}, { numLabels: 3, names: ["1", "2", "many"], rows: [0, 1, 2] }],
    [["2", "1"], { names: ["1", "2", "many"] }, { numLabels: 3, names: ["1", "2", "many"], rows: [1, 0] }],
    [["__proto__", "constructor"], {}, { numLabels: 2, names: ["__proto__", "constructor"], rows: [0, 1] }],
    [[["b", "a"], [], ["c"]], {}, { multiLabel: true, numLabels: 3, names: ["a", "b", "c"], rows: [[1, 0], [], [2]] }],
    [[[0, 3], [1]], {}, { multiLabel: true, numLabels: 4, rows: [[0, 3], [1]] }],
    [
      [["joy"], ["joy", "awe"]],
      { names: ["joy", "awe"] },
      { multiLabel: true, numLabels: 2, names: ["joy", "awe"], rows: [[0], [0, 1]] },
    ],
    [["True", "False"], {}, { numLabels: 2, names: ["False", "True"], rows: [1, 0] }],
  ])("%j %j", (labels, known, expected) => {
    expect(read(labels, known)).toEqual({ names: undefined, ...expected });
  });

  test("classes that ids speak of: none where no row is labelled, one where there are fractions", () => {
    const lists = [[], [-1, -1], [-1, 0], [1, 1], [0, 4, 2], [0, 0.5], [-1, 0.5]];
    expect(lists.map((ids) => countLabels(ids))).toEqual([0, 0, 2, 2, 5, 1, 1]);
  });

  test("what pandas takes for missing is not a class, and makes no classes of numbers", () => {
    const missing = ["", "#N/A", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None", "<NA>", " "];
    const rows = missing.map(() => "no label");
    expect(read(["0.5", ...missing, null, undefined, NaN])).toEqual({
      ...{ numLabels: 1, names: undefined },
      rows: [0.5, ...rows, "no label", "no label", "no label"],
    });
    expect(read(["yes", ...missing]).names).toEqual(["yes"]);
    expect(read(["None", "Some"], { names: ["Some", "None"] }).rows).toEqual([1, 0]); // unless it is the name of one
  });

  test("what is not a label says what it is", () => {
    expect(read(["0", [1, 0], { a: 1 }, "1e999", "inf", "-Infinity"]).rows).toEqual([
      0,
      "a label is a list, though others are not",
      "a label is an object, not a text or a number",
      ...Array.from({ length: 3 }, () => "a label is not a finite number"),
    ]);
    expect(read([["a", "b"], "a", ["b", ["a"]], ["a", null]]).rows).toEqual([
      [0, 1],
      "a label is not a list, though others are",
      "a label is a list within a list",
      "no label",
    ]);
    expect(read([1.5, [1]], { numLabels: 1 }).rows).toEqual([1.5, "a label is a list, not a number"]);
    expect(read(["1", "seven"], { numLabels: 1 }).rows).toEqual([1, "a label is not a number"]);
    expect(read(["1", "seven", "2"], { names: ["no", "yes"] }).rows).toEqual([
      1,
      "a label is none of [no, yes]",
      "a class id is not within 0 to 1",
    ]);
    expect(read(["1", "-1", "0.5"], { numLabels: 2 }).rows).toEqual([
      1,
      "a class id is not within 0 to 1",
      "a class id is not within 0 to 1",
    ]);
    expect(read(["x", 7]).rows).toEqual([0, "a label is not a text, though others are"]);
    expect(read(["x", "y".repeat(1001)]).rows[1]).toBe("a label has more than 1000 characters");
  });

  test("ids, prices and texts in place of classes are refused at once", () => {
    const refused = (labels: readonly unknown[]) => () => read(labels);
    expect(refused(["12", "987654321", "4711"])).toThrow(
      /^a\.csv, column label: whole numbers up to 987654321 \(3 different\) .*--do_regression/,
    );
    expect(refused(Array.from({ length: 60 }, (_, i) => 100 + 13 * i))).toThrow(
      "whole numbers up to 867 (60 different)",
    );
    expect(refused(Array.from({ length: 10_001 }, (_, i) => i))).toThrow("whole numbers up to 10000");
    expect(refused(Array.from({ length: 150 }, (_, i) => `text ${i}`))).toThrow(
      /column label: 150 and more different labels in 150 rows, too many for classes, such as "text 0", .*--label_column/,
    );
    const values = new LabelValues("a.csv, column label", {});
    const many = () => {
      for (let i = 0; i < 1e6; i++) values.add(`text ${i}`);
    };
    expect(many).toThrow("10000 and more different labels");
    expect(values.values.length).toBe(10_000); // no more of them are kept
  });

  test("classes with gaps, and many of them, are classes where enough of them have rows", () => {
    expect(read([3n, 1n]).rows).toEqual([3, 1]);
    expect(countLabels([0, 1, 5])).toBe(6);
    expect(countLabels([1, 2, 3, 4, 5])).toBe(6);
    expect(countLabels(Array.from({ length: 151 }, (_, i) => i))).toBe(151);
    expect(read(Array.from({ length: 3 * 150 }, (_, i) => `intent ${i % 150}`)).numLabels).toBe(150);
    expect(read(Array.from({ length: 20_000 }, (_, i) => i / 4)).numLabels).toBe(1);
  });

  test("classes that a model has keep its ids, whatever the order of the names", () => {
    const modelNames = ["positive", "negative"];
    expect(read(["negative", "positive"], { modelNames })).toEqual({ numLabels: 2, names: modelNames, rows: [1, 0] });
    expect(read(["negative", "neutral", "positive"], { modelNames }).names).toEqual([
      "negative",
      "neutral",
      "positive",
    ]);
    const fileNames = ["negative", "positive"]; // of a parquet file, whose ids are of these
    expect(read([0, 1], { fileNames, modelNames })).toEqual({ numLabels: 2, names: modelNames, rows: [1, 0] });
    expect(read([0, 1], { fileNames, names: modelNames }).rows).toEqual([1, 0]);
    expect(read([0, 1], { fileNames: ["neg", "pos"], names: modelNames }).rows).toEqual([0, 1]);
    expect(read([0, 1], { fileNames }).rows).toEqual([0, 1]);
  });

  test.each<[string, (i: number) => unknown]>([
    ["fractions", (i) => `${i}.5`],
    ["numbers", (i) => i / 2],
    ["ids out of range", (i) => i],
    ["lists", (i) => [i]],
  ])("time is in proportion to the rows: %s", async (_, label) => {
    const work = (n: number) =>
      read(
        Array.from({ length: n }, (_, i) => label(i)),
        { numLabels: 1 },
      );
    expect(await timesWhenDoubled(work, 50_000)).toBeLessThan(3);
  });
});
