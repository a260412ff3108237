import "@gpugrad/autograd";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BertConfig, BertForSequenceClassification, DistilBertForSequenceClassification, studentConfig } from "@gpugrad/bert"; // prettier-ignore
import { destroy, device, init, manualSeed, memoryByOwner, scope, tensor, undisposed, type NestedArray } from "@gpugrad/tensor"; // prettier-ignore
import { afterAll, beforeAll, expect, test } from "vitest";
import { Dataset } from "../../data/dataset.ts";
import { stepMemory } from "../../diagnostics/memory-advice.ts";
import { trainWordPiece } from "../../sample/wordpiece.ts";
import { Trainer } from "../../trainer/trainer.ts";
import { multipleChoice } from "../multiple-choice/multiple-choice.ts";
import { textClassification } from "../text-classification/text-classification.ts";
import type { ModelOutput } from "../task.ts";
import { comparisons, cosineDistance, type ComparisonName } from "./comparisons.ts";
import { distillation, type DistillationOptions } from "./distillation.ts";
import { withTeacherLogits } from "./teacher-logits.ts";

beforeAll(async () => void (await init()));
afterAll(() => destroy());

const close = (got: ArrayLike<number>, want: readonly number[], atol = 1e-5): void => {
  expect(got.length).toBe(want.length);
  want.forEach((value, i) => expect(Math.abs(got[i]! - value), `${got[i]} for ${value} at ${i}`).toBeLessThan(atol));
};

// What PyTorch 2.15 gives in float64 for T = 2: kl_div(…, "batchmean") T², and its gradient.
const rows = { s: [[1, -2, 0.5], [0.25, 1.5, -1]], t: [[2, 0, -1], [-0.5, 0.75, 1.25]] }; // prettier-ignore
const ends = { s: [[0.5, -1, 2], [1, 1.25, 0]], t: [[1, 0, 1], [-1, 2, 0.5]] }; // prettier-ignore
const words = {
  s: [[[1, -2], [0.5, 0.25], [3, 1]], [[0, 1], [2, 2.5], [-1, 0.75]]], // prettier-ignore
  t: [[[0, 1], [1.5, -0.25], [1, 1]], [[2, -1], [0, 0.5], [1, 0.25]]], // prettier-ignore
};
const labels = { data: Int32Array.of(0, -100, 1, 1, 0, -100), shape: [2, 3], dtype: "i32" } as const;
type Pair = { s: NestedArray; t: NestedArray };
const cases: [ComparisonName, Record<string, Pair>, loss: number, gradients: number[][]][] = [
  ["classes", { logits: rows }, 0.8330748093734823, [[-0.129013989, -0.119766427, 0.248780416, 0.103957522, 0.194218221, -0.298175743]]], // prettier-ignore
  ["label sets", { logits: rows }, 0.2681934173006493, [[-0.036199749, -0.077019526, 0.061545277, 0.031128625, 0.028837366, -0.091271399]]], // prettier-ignore
  ["numbers", { logits: { s: [[1], [-2]], t: [[0.5], [1]] } }, 4.625, [[0.5, -3]]],
  ["tokens", { logits: words }, 1.0001821217492741, [[0.220016904, -0.220016904, 0, 0, 0.115529289, -0.115529289, -0.220016904, 0.220016904, 0, 0, 0, 0]]], // prettier-ignore
  ["spans", { start_logits: rows, end_logits: ends }, 0.6460161031925113, [
    [-0.064506995, -0.059883213, 0.124390208, 0.051978761, 0.09710911, -0.149087871],
    [-0.052525521, -0.050547445, 0.103072966, 0.116702302, -0.088095698, -0.028606604],
  ]], // prettier-ignore
];

test.each(cases)("how far apart logits of %s are, as PyTorch has it", async (name, logits, loss, gradients) => {
  await scope(async () => {
    const of = (whose: "s" | "t") => Object.fromEntries(Object.entries(logits).map(([key, pair]) => [key, tensor(pair[whose])])); // prettier-ignore
    const [student, teacher] = [of("s"), of("t")];
    for (const each of Object.values(student)) each.requireGrad();
    const found = comparisons[name](student as never, teacher as never, { temperature: 2, labels });
    found.backward();
    close(await found.data(), [loss]); // prettier-ignore
    for (const [i, each] of Object.values(student).entries()) close(await each.grad!.data(), gradients[i]!); // prettier-ignore
  });
});

test("the cosine of hidden states is a mean over real tokens", async () => {
  await scope(async () => {
    const of = (states: NestedArray): ModelOutput => ({
      logits: tensor(0),
      hidden_states: [tensor(0), tensor(states)],
    });
    const mask = tensor([[1, 1, 0], [1, 1, 1]], "i32"); // prettier-ignore
    close([await cosineDistance(of(words.s), of(words.t), mask).item()], [1.076525703569624]);
    close([await cosineDistance(of(words.s), of(words.t), undefined).item()], [0.9147002211413676]);
    expect(() => cosineDistance(of(words.s), of([[[1]]]), mask)).toThrow("the student's have 2 and the teacher's 1");
    expect(() => cosineDistance(of(words.s), { logits: tensor(0) }, mask)).toThrow("which the teacher doesn't give");
  });
});

const texts = Array.from({ length: 24 }, (_, i) => `${i % 2 ? "a fine film" : "a dull and slow story"} ${i}`);
const tokenizer = trainWordPiece(texts, { vocabSize: 60, maxLength: 16 });
const data = Dataset.fromRows(texts.map((text, i) => ({ text, label: i % 2 })));

/** A teacher with dropout, and a student without. */
function models() {
  manualSeed(5);
  const sizes = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 };
  const config = new BertConfig({ ...sizes, vocab_size: tokenizer.vocabSize, max_position_embeddings: 16, initializer_range: 0.5 }); // prettier-ignore
  const teacher = BertForSequenceClassification.fromConfig(config);
  const student = DistilBertForSequenceClassification.fromConfig(
    Object.assign(studentConfig(config, 1), { dropout: 0, attention_dropout: 0, seq_classif_dropout: 0 }),
  );
  return { teacher, student, dispose: () => [teacher, student].forEach((model) => model.dispose()) };
}
const args = { maxSteps: 4, perDeviceTrainBatchSize: 4, perDeviceEvalBatchSize: 4, learningRate: 1e-2 };

/** A trained student's weights, the losses on the way, and the loss at the end. */
async function trained(
  options: Omit<DistillationOptions, "teacher">,
  more: Partial<ConstructorParameters<typeof Trainer>[0]> & { dataset?: Dataset } = {},
) {
  const { teacher, student, dispose } = models();
  const { dataset = data, ...others } = more;
  const task = distillation(textClassification(student.config), { teacher, ...options });
  const losses: number[] = [];
  const trainer = new Trainer({
    ...{ model: student, task, tokenizer, trainDataset: dataset, evalDataset: dataset, args, ...others },
    callbacks: [{ onStepResult: (_, __, ___, { result }) => void losses.push(result!.loss) }, ...(others.callbacks ?? [])], // prettier-ignore
  });
  await trainer.train();
  const { eval_loss: loss } = await trainer.evaluate();
  const weights = await student.classifier.weight.toArray();
  dispose();
  return { losses, loss, weights };
}

test.each([0, 0.1])("the loss is α T² KL + (1 − α) L + β (1 − cos), with label smoothing of %s", async (smoothing) => {
  const { teacher, student, dispose } = models();
  const [T, alpha, beta] = [3, 0.7, 0.4];
  const softmax = (x: number[], by = 1): number[] => {
    const powers = x.map((value) => Math.exp(value / by));
    return powers.map((power) => power / powers.reduce((a, b) => a + b));
  };
  let want = 0;
  teacher.eval();
  student.eval();
  const lossOf = async (text: string, i: number): Promise<number> => {
    const inputs = { input_ids: [Array.from(tokenizer.encode(text).input_ids)] };
    const [s, t] = [student, teacher].map((model) => model.forward(inputs, { outputHiddenStates: true })) as unknown as [ModelOutput, ModelOutput]; // prettier-ignore
    const [sl, tl] = [((await s.logits.toArray()) as number[][])[0]!, ((await t.logits.toArray()) as number[][])[0]!];
    const [p, q] = [softmax(tl, T), softmax(sl, T)];
    const kl = p.reduce((sum, each, c) => sum + each * Math.log(each / q[c]!), 0);
    const logs = softmax(sl).map((each) => -Math.log(each));
    const hard = (1 - smoothing) * logs[i % 2]! + (smoothing * (logs[0]! + logs[1]!)) / 2;
    const last = async ({ hidden_states: states }: ModelOutput) =>
      ((await (states as (typeof s.logits)[]).at(-1)!.toArray()) as number[][][])[0]!;
    const [a, b] = [await last(s), await last(t)];
    const dot = (x: number[], y: number[]): number => x.reduce((sum, value, j) => sum + value * y[j]!, 0);
    const apart = a.reduce((sum, x, k) => sum + 1 - dot(x, b[k]!) / Math.sqrt(dot(x, x) * dot(b[k]!, b[k]!)), 0) / a.length; // prettier-ignore
    return alpha * T * T * kl + (1 - alpha) * hard + beta * apart;
  };
  for (const [i, text] of texts.entries()) want += (await scope(() => lossOf(text, i))) / texts.length;
  const task = distillation(textClassification(student.config), { teacher, temperature: T, alpha, alphaCos: beta });
  const trainer = new Trainer({
    ...{ model: student as never, task, tokenizer, evalDataset: data },
    args: { perDeviceEvalBatchSize: 1, labelSmoothingFactor: smoothing },
  });
  close([(await trainer.evaluate())["eval_loss"]!], [want], 1e-4);
  dispose();
});

test("the teacher is left as it was, leaks nothing, and its memory has a name", async () => {
  const { teacher, student, dispose } = models();
  const before = await teacher.classifier.weight.toArray();
  teacher.train();
  const task = distillation(textClassification(student.config), { teacher, alphaCos: 1 });
  expect(memoryByOwner()["teacher"]!.bytes).toBeGreaterThanOrEqual(4 * teacher.numParameters());
  const tensors = undisposed();
  const common = { model: student as never, task, tokenizer, trainDataset: data };
  await new Trainer({ ...common, args: { ...args, recordSteps: false } }).train();
  expect(undisposed()).toBe(tensors);
  expect(teacher.parameters().filter(({ grad }) => grad !== null)).toEqual([]);
  expect(teacher.training).toBe(true);
  expect(await teacher.classifier.weight.toArray()).toEqual(before);
  expect(task.facts).toMatchObject({ temperature: "2", alpha: "0.5", alpha_cos: "1" });
  dispose();
});

test("updates that are recorded give the bytes of those that are not; a lost device takes the teacher along", async () => {
  const options = { alphaCos: 0.3 };
  const plain = await trained(options, { args: { ...args, recordSteps: false } });
  expect(await trained(options)).toEqual(plain);
  let steps = 0;
  const loses = { onStepEnd: () => void (++steps === 3 && device().gpu.destroy()), onWarning: () => undefined };
  const { weights, loss } = await trained(options, { callbacks: [loses] });
  expect({ weights, loss }).toEqual({ weights: plain.weights, loss: plain.loss });
});

test("without a teacher's share, training is that of the task alone", async () => {
  const { student, dispose } = models();
  const trainer = new Trainer({ model: student as never, tokenizer, trainDataset: data, args });
  await trainer.train();
  const weights = await student.classifier.weight.toArray();
  dispose();
  expect((await trained({ alpha: 0 })).weights).toEqual(weights);
});

test("logits are kept on disk by data, teacher and tokens; a damaged file is made again", async () => {
  const cacheDir = mkdtempSync(join(tmpdir(), "gpugrad-teacher-"));
  const { teacher, dispose } = models();
  const common = { teacher, task: textClassification(teacher.config), tokenizer, maxLength: 16, cacheDir };
  const first = await withTeacherLogits(data, common);
  const again = await withTeacherLogits(data, common);
  expect([first.cache?.hit, again.cache?.hit, again.cache?.path]).toEqual([false, true, first.cache?.path]);
  const inputs = { input_ids: [Array.from(tokenizer.encode(texts[3]!).input_ids)] };
  const want = (await scope(() => teacher.eval().forward(inputs).logits.toArray())) as number[][];
  for (const { dataset } of [first, again]) close((await dataset.row(3))["teacher_logits"] as Float32Array, want[0]!);
  expect(await again.dataset.select([3]).row(0)).toMatchObject({ text: texts[3], label: 1 });

  const { path } = first.cache!;
  const bytes = readFileSync(path);
  bytes[5]! ^= 1;
  writeFileSync(path, bytes);
  expect((await withTeacherLogits(data, common)).cache?.hit).toBe(false);
  expect((await withTeacherLogits(data, common)).cache?.hit).toBe(true);
  expect((await withTeacherLogits(data, { ...common, maxLength: 8 })).cache?.hit).toBe(false);
  expect((await withTeacherLogits(data.take(20), common)).cache?.hit).toBe(false);
  teacher.classifier.bias.write([1, 0]);
  expect((await withTeacherLogits(data, common)).cache?.hit).toBe(false);
  expect(readdirSync(cacheDir)).toHaveLength(4);
  expect((await withTeacherLogits(data, { ...common, cacheDir: false })).cache).toBeUndefined();
  await expect(withTeacherLogits(data, { ...common, task: multipleChoice })).rejects.toThrow(
    /multiple-choice has more/,
  );
  rmSync(cacheDir, { recursive: true });

  const kept = await trained({ temperature: 4 }, { dataset: again.dataset });
  const computed = await trained({ temperature: 4 });
  close(kept.losses, computed.losses);
  close([kept.loss!], [computed.loss!]);
  dispose();
});

test("what an update takes is known beforehand, teacher included", () => {
  const { teacher, student, dispose } = models();
  const task = textClassification(student.config);
  const common = {
    config: student.config,
    modelFor: (config: never) => new DistilBertForSequenceClassification(config),
  };
  const bytesOf = (own: typeof task) => stepMemory({ ...(common as object), config: student.config, task: own, batchSize: 4, length: 16 }).bytes; // prettier-ignore
  const tensors = undisposed();
  expect(bytesOf(distillation(task, { teacher })) - bytesOf(task)).toBeGreaterThan(4 * teacher.numParameters());
  expect(undisposed()).toBe(tensors);
  dispose();
});

test("what makes no sense is refused by name", () => {
  const { teacher, student, dispose } = models();
  const task = textClassification(student.config);
  const made = (options: object) => () => distillation(task, { teacher, ...options });
  expect(made({ temperature: 0 })).toThrow("temperature is 0; it has to be positive");
  expect(made({ alpha: 1.5 })).toThrow("alpha is 1.5; it has to lie between 0 and 1");
  expect(made({ alphaCos: NaN })).toThrow("alphaCos is NaN");
  expect(made({ beta: 1 })).toThrow(/beta/);
  expect(made({ compare: "clases" })).toThrow(/compare clases is not known.*Did you mean classes/);
  const embeddings = { ...task, name: "sentence-embeddings" };
  expect(() => distillation(embeddings, { teacher })).toThrow(/sentence-embeddings has no logits to compare/);
  dispose();
});
