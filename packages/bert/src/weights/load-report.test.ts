import { describe, expect, it } from "vitest";
import { planLoad } from "./load-plan.ts";
import { formatLoadReport } from "./load-report.ts";

const shapes = (keys: Record<string, readonly number[]>) => new Map(Object.entries(keys));

describe("planLoad", () => {
  const expected = shapes({ "bert.LayerNorm.weight": [4], "bert.LayerNorm.bias": [4], "head.weight": [2, 4] });

  it("renames, repairs the prefix and drops buffers", () => {
    const found = shapes({
      "LayerNorm.gamma": [4],
      "bert.LayerNorm.beta": [4],
      "bert.embeddings.position_ids": [1, 9],
      "cls.LayerNorm.gamma": [4],
    });
    const plan = planLoad({ expected, found, prefix: "bert" });
    expect([...plan.assignments]).toEqual([["bert.LayerNorm.weight", "LayerNorm.gamma"], ["bert.LayerNorm.bias", "bert.LayerNorm.beta"]]); // prettier-ignore
    expect(plan).toMatchObject({ missing: ["head.weight"], unexpected: ["cls.LayerNorm.weight"], mismatched: [] });
    const base = planLoad({
      expected: shapes({ "LayerNorm.weight": [4] }),
      found: shapes({ "bert.LayerNorm.weight": [4], "head.weight": [2], "roberta.LayerNorm.weight": [4] }),
      prefix: "bert",
      isBase: true,
    });
    expect([...base.assignments]).toEqual([["LayerNorm.weight", "bert.LayerNorm.weight"]]);
    expect(base.unexpected).toEqual(["head.weight", "roberta.LayerNorm.weight"]);
  });

  it("does not report keys that a family ignores, and takes them where the model has them", () => {
    const given = { found: shapes({ "a.table": [2], "a.x": [2] }), prefix: "a", ignored: /table/ };
    expect(planLoad({ ...given, expected: shapes({ "a.w": [1] }) }).unexpected).toEqual(["a.x"]);
    expect([...planLoad({ ...given, expected: shapes({ "a.table": [2] }) }).assignments]).toEqual([["a.table", "a.table"]]); // prettier-ignore
  });

  it("takes a tied parameter from whichever key the file has", () => {
    const tied = [["a.weight", "b.weight"]];
    const both = shapes({ "a.weight": [2], "b.weight": [2] });
    const plan = (found: Record<string, number[]>) =>
      planLoad({ expected: both, found: shapes(found), prefix: "", tied });
    expect([...plan({ "b.weight": [2] }).assignments]).toEqual([["b.weight", "b.weight"]]);
    expect([...plan({ "a.weight": [2], "b.weight": [2] }).assignments]).toEqual([["a.weight", "a.weight"]]);
    expect(plan({ "b.weight": [2] }).missing).toEqual([]);
    expect(plan({})).toMatchObject({ missing: ["a.weight", "b.weight"], absentTied: tied });
    expect(plan({ "a.weight": [3] })).toMatchObject({ missing: [], mismatched: [["a.weight", [3], [2]]] });
  });

  it("writes layers together", () => {
    const found = shapes({
      "layer.0.x": [1],
      "layer.1.x": [1],
      ...Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`deep.${i}`, [1]])),
    });
    const report = formatLoadReport(planLoad({ expected: new Map(), found, prefix: "" }), {
      architecture: "Model",
      from: "here",
    });
    expect(report.split("\n").slice(0, 5)).toEqual([
      "Model LOAD REPORT from: here",
      "Key            | Status     |  | ",
      "---------------+------------+--+-",
      "deep.{0...11}  | UNEXPECTED |  | ",
      "layer.{0, 1}.x | UNEXPECTED |  | ",
    ]);
    expect(
      formatLoadReport(planLoad({ expected, found: expected, prefix: "bert" }), {
        architecture: "Model",
        from: "here",
      }),
    ).toBe("");
  });
});
