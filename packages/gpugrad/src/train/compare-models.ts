import { noGrad } from "@gpugrad/autograd";
import { sizesOf } from "@gpugrad/bert";
import { device, fromArray, scope, type Tensor } from "@gpugrad/tensor";
import { DataLoader, formatTable, plainMetrics, TEACHER_LOGITS, Trainer, type Batch, type Found, type Inputs, type NamedArray, type Task as TrainerTask, type TrainableModel } from "@gpugrad/train"; // prettier-ignore
import type { Distillation } from "./open-distillation.ts";
import type { Result } from "./train-command.ts";

/** Texts that are timed, and how often: the fastest time counts. */
const TIMED = { rows: 32, times: 3 };

/** The metrics to compare by, where a task has them. */
const COMPARED = ["accuracy", "f1", "f1_micro", "exact_match", "mse", "pearson", "spearman", "perplexity"];

/** Teacher and student side by side: layers, parameters, time for a text, and the metrics of both. */
export async function compareModels(task: Distillation, { args, metrics, emit }: Result): Promise<string> {
  const { teacher, model: student, tokenizer, plain, validation } = task;
  const maxLength = Math.min(
    args.maxLength,
    tokenizer.modelMaxLength,
    student.config.maxLength,
    teacher.config.maxLength,
  );
  const batchSize = args.perDeviceEvalBatchSize;
  const encode = plain.encode && { encode: plain.encode.bind(plain) };
  const loader = new DataLoader(validation.take(TIMED.rows), tokenizer, {
    maxLength,
    batchSize,
    collate: plain.collate,
    ...encode,
  });
  const batches: Batch[] = [];
  for await (const batch of loader) batches.push(batch);
  const msOf = async (model: TrainableModel): Promise<number> => {
    model.eval();
    let least = Infinity;
    for (let i = 0; i <= TIMED.times; i++) {
      const start = performance.now();
      for (const { arrays } of batches) scope(() => void noGrad(() => model.forward(withoutLabels(arrays, plain))));
      await device().finish();
      if (i > 0) least = Math.min(least, performance.now() - start); // the first time, kernels are compiled
    }
    return least / loader.dataset.length;
  };
  const own = plainMetrics(metrics);
  const taught = plainMetrics(await metricsOf(task, { maxLength, perDeviceEvalBatchSize: batchSize }));
  const figures = {
    layers: [teacher, student].map(({ config }) => sizesOf(config).num_hidden_layers ?? NaN),
    parameters: [teacher, student].map((model) => model.numParameters()),
    ms_per_text: [await msOf(teacher), await msOf(student)],
    ...Object.fromEntries(COMPARED.flatMap((name) => (name in own ? [[name, [taught[name] ?? NaN, own[name]!]]] : []))),
  };
  emit({ event: "comparison", columns: ["teacher", "student"], ...figures });
  const shown: Readonly<Record<string, (value: number) => string>> = {
    layers: String,
    parameters: (value) => `${(value / 1e6).toFixed(2)} M`,
    ms_per_text: (value) => value.toFixed(2),
  };
  const change: Readonly<Record<string, (from: number, to: number) => string>> = {
    parameters: (from, to) => `${(100 * (to / from - 1)).toFixed(1)} %`,
    ms_per_text: (from, to) => `${(from / to).toFixed(2)} times as fast`,
  };
  return formatTable([
    ["", "teacher", "student", ""],
    ...Object.entries(figures).map(([name, [from, to]]) => [
      name.replaceAll("_", " "),
      ...[from!, to!].map(shown[name] ?? ((value) => value.toFixed(4))),
      change[name]?.(from!, to!) ?? "",
    ]),
  ]);
}

const withoutLabels = (arrays: Inputs, { labelNames = ["labels"] }: TrainerTask<Found>): Inputs => ({
  ...Object.fromEntries(Object.entries(arrays).filter(([name]) => !labelNames.includes(name))),
  input_ids: arrays.input_ids,
});

/** The teacher's metrics on the rows to evaluate on, from its logits where the rows bring them. */
async function metricsOf(
  { teacher, tokenizer, plain, task, validation }: Distillation,
  args: object,
): Promise<Record<string, number>> {
  const isKept = TEACHER_LOGITS in (await validation.row(0));
  const logitsOf = ({ [TEACHER_LOGITS]: kept }: Inputs): { logits: Tensor } => {
    const { data, shape } = kept as NamedArray;
    return { logits: fromArray(data, shape) };
  };
  const replayed = {
    ...plain,
    collate: task!.collate,
    forward: (_: TrainableModel, inputs: Inputs) => logitsOf(inputs),
  };
  const trainer = new Trainer({ model: teacher, tokenizer, args, task: isKept ? replayed : plain });
  return (await trainer.predict(validation)).metrics;
}
