import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openFolder } from "../hub/open.ts";
import { AutoConfig } from "../models/auto.ts";
import type { BertConfig } from "../models/bert/bert-config.ts";
import { shared } from "../../test/shared.ts";
import { planLoad } from "./load-plan.ts";
import { formatLoadReport } from "./load-report.ts";
import { openWeights } from "./open-weights.ts";

const shapes = (keys: Record<string, readonly number[]>) => new Map(Object.entries(keys));

describe("planLoad", () => {
  const expected = shapes({ "bert.LayerNorm.weight": [4], "bert.LayerNorm.bias": [4], "head.weight": [2, 4] });

  it("renames, mends the prefix and drops buffers", () => {
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
      found: shapes({ "bert.LayerNorm.weight": [4], "head.weight": [2] }),
      prefix: "",
    });
    expect([...base.assignments]).toEqual([["LayerNorm.weight", "bert.LayerNorm.weight"]]);
    expect(base.unexpected).toEqual(["head.weight"]);
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

/** The parameters of each BERT architecture, as Transformers names them. */
function parameters(architecture: string, config: BertConfig): { keys: Record<string, number[]>; tied: string[][] } {
  const { hidden_size: C, intermediate_size: F, vocab_size: V, num_labels: L } = config;
  const linear = (name: string, out: number, width: number) => ({
    [`${name}.weight`]: [out, width],
    [`${name}.bias`]: [out],
  });
  const norm = (name: string) => ({ [`${name}.weight`]: [C], [`${name}.bias`]: [C] });
  const base = (prefix: string, pooler: boolean): Record<string, number[]> => ({
    [`${prefix}embeddings.word_embeddings.weight`]: [V, C],
    [`${prefix}embeddings.position_embeddings.weight`]: [config.max_position_embeddings, C],
    [`${prefix}embeddings.token_type_embeddings.weight`]: [config.type_vocab_size, C],
    ...norm(`${prefix}embeddings.LayerNorm`),
    ...Object.fromEntries(
      Array.from({ length: config.num_hidden_layers }, (_, i) => `${prefix}encoder.layer.${i}`).flatMap((layer) =>
        Object.entries<number[]>({
          ...linear(`${layer}.attention.self.query`, C, C),
          ...linear(`${layer}.attention.self.key`, C, C),
          ...linear(`${layer}.attention.self.value`, C, C),
          ...linear(`${layer}.attention.output.dense`, C, C),
          ...norm(`${layer}.attention.output.LayerNorm`),
          ...linear(`${layer}.intermediate.dense`, F, C),
          ...linear(`${layer}.output.dense`, C, F),
          ...norm(`${layer}.output.LayerNorm`),
        }),
      ),
    ),
    ...(pooler ? linear(`${prefix}pooler.dense`, C, C) : {}),
  });
  const masked = {
    "cls.predictions.bias": [V],
    ...linear("cls.predictions.transform.dense", C, C),
    ...norm("cls.predictions.transform.LayerNorm"),
    ...linear("cls.predictions.decoder", V, C),
  };
  const tied = config.tie_word_embeddings
    ? [["bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"], ["cls.predictions.bias", "cls.predictions.decoder.bias"]] // prettier-ignore
    : [];
  switch (architecture) {
    case "BertModel":
      return { keys: base("", true), tied: [] };
    case "BertForMaskedLM":
      return { keys: { ...base("bert.", false), ...masked }, tied };
    case "BertForPreTraining":
      return { keys: { ...base("bert.", true), ...masked, ...linear("cls.seq_relationship", 2, C) }, tied };
    case "BertForTokenClassification":
      return { keys: { ...base("bert.", false), ...linear("classifier", L, C) }, tied: [] };
    default:
      return { keys: { ...base("bert.", true), ...linear("classifier", L, C) }, tied: [] };
  }
}

const models = shared("reference/models");
const folders = models
  ? (await readdir(models)).filter((f) => f.startsWith("bert-") && existsSync(join(models, f, "expected-load.json")))
  : [];

describe.skipIf(!models)("Transformers' load reports", () => {
  interface Expected {
    open_as: string;
    arguments: { num_labels?: number; ignore_mismatched_sizes?: boolean };
    class?: string;
    missing?: string[];
    unexpected?: string[];
    mismatched?: [string, number[], number[]][];
    printed: string[];
  }
  it.each(folders)("%s", async (name) => {
    const folder = await openFolder(join(models!, name));
    const weights = await openWeights(folder);
    const found = new Map(weights.keys().map((key) => [key, weights.info(key).shape]));
    await weights.close();
    for (const wanted of JSON.parse(await readFile(join(models!, name, "expected-load.json"), "utf8")) as Expected[]) {
      const { num_labels } = wanted.arguments;
      const config = await AutoConfig.fromPretrained(folder, num_labels === undefined ? {} : { num_labels });
      const architecture = wanted.class ?? "BertForSequenceClassification";
      const known = wanted.open_as === "AutoModel" ? "BertModel" : architecture;
      // DistilBERT shares only the classifier with these files: the rest is what they miss.
      const { keys, tied } = known.startsWith("Bert")
        ? parameters(known, config)
        : {
            keys: Object.fromEntries(
              [...wanted.missing!, "classifier.bias", "classifier.weight"].map((key) => [key, found.get(key) ?? [1]]),
            ),
            tied: [],
          };
      const plan = planLoad({
        expected: shapes(keys),
        found,
        prefix: known === "BertModel" ? "" : known.startsWith("Bert") ? "bert" : "distilbert",
        tied,
      });
      const { missing, unexpected, mismatched } = plan;
      if (wanted.missing) expect({ missing, unexpected, mismatched }).toEqual({ missing: wanted.missing, unexpected: wanted.unexpected, mismatched: wanted.mismatched }); // prettier-ignore
      const printed = formatLoadReport(plan, { architecture, from: basename(folder.name) });
      expect(printed === "" ? [] : printed.split("\n")).toEqual(wanted.printed);
      if (missing.length + mismatched.length === 0)
        expect(plan.assignments.size).toBe(new Set(Object.keys(keys)).size - tied.length);
    }
  });
});
