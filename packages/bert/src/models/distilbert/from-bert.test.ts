import { destroy, init } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BertConfig } from "../bert/bert-config.ts";
import { BertForMaskedLM, BertForSequenceClassification } from "../bert/bert-heads.ts";
import { DistilBertConfig } from "./distilbert-config.ts";
import { DistilBertForMaskedLM, DistilBertForSequenceClassification } from "./distilbert-heads.ts";
import { layersForStudent, startFromTeacher } from "./from-bert.ts";

const sizes = { vocab_size: 11, max_position_embeddings: 8 };
const bert = new BertConfig({ ...sizes, hidden_size: 4, num_hidden_layers: 5, num_attention_heads: 2, intermediate_size: 6 }); // prettier-ignore
const distil = new DistilBertConfig({ ...sizes, dim: 4, n_layers: 2, n_heads: 2, hidden_dim: 6 });

beforeAll(async () => void (await init()));
afterAll(destroy);

test("which layers a student begins with", () => {
  expect(layersForStudent(12, 6)).toEqual([0, 2, 4, 7, 9, 11]); // DistilBERT's
  expect(layersForStudent(4, 2)).toEqual([0, 2]);
  expect(layersForStudent(5, 3)).toEqual([0, 2, 4]);
  expect(layersForStudent(12, 3)).toEqual([0, 4, 8]);
  expect(layersForStudent(12, 5)).toEqual([0, 3, 5, 8, 10]);
  expect(layersForStudent(6, 6)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(() => layersForStudent(2, 3)).toThrow(/a student of 3 layers can't begin with those of a teacher of 2/);
});

test("embeddings, layers and the head that guesses words are the teacher's; a classifier stays", async () => {
  const teacher = BertForMaskedLM.fromConfig(bert);
  const student = DistilBertForMaskedLM.fromConfig(distil);
  const copied = startFromTeacher(student, teacher, [1, 4]);
  const own = new Map(student.namedTensors());
  const theirs = new Map(teacher.namedTensors());
  expect(new Set(copied.keys())).toEqual(new Set(own.keys()));
  for (const [key, from] of copied) expect(await own.get(key)!.data(), key).toEqual(await theirs.get(from)!.data());
  expect(copied.get("distilbert.transformer.layer.1.ffn.lin2.weight")).toBe("bert.encoder.layer.4.output.dense.weight");
  student.dispose();

  const classifier = DistilBertForSequenceClassification.fromConfig(distil);
  const before = await classifier.classifier.weight.data();
  const rest = [...classifier.namedTensors()].map(([key]) => key);
  const fromMasked = startFromTeacher(classifier, teacher);
  expect(rest.filter((key) => !fromMasked.has(key))).toEqual(["pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"]); // prettier-ignore
  expect(await classifier.classifier.weight.data()).toEqual(before);
  classifier.dispose();
  teacher.dispose();
});

test("what does not fit is named", () => {
  const teacher = BertForSequenceClassification.fromConfig(bert);
  const student = DistilBertForSequenceClassification.fromConfig(distil);
  expect(() => startFromTeacher(student, teacher, [0, 5])).toThrow(/layers 0, 5 are not 2 of the teacher's 0 … 4/);
  const wide = DistilBertForSequenceClassification.fromConfig(new DistilBertConfig({ ...sizes, dim: 6, n_layers: 1, n_heads: 2, hidden_dim: 6 })); // prettier-ignore
  expect(() => startFromTeacher(wide, teacher)).toThrow(
    /word_embeddings.weight is \[11,6\], the teacher's .* is \[11,4\]/,
  );
  for (const model of [teacher, student, wide]) model.dispose();
});
