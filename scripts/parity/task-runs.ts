import "@gpugrad/autograd";
import { crossEntropy, type Tensor } from "@gpugrad/tensor";
import { PeftModel, sizesOf } from "@gpugrad/bert";
import {
  Dataset,
  distillation,
  meanSquaredError,
  multiLabelF1,
  pearsonr,
  subsetAccuracy,
  Trainer,
  type NamedArray,
  type Row,
  type Task,
  type TrainableModel,
} from "@gpugrad/train";
import { keyInFile, openBase as openModel } from "./adapters.ts";
import { exists, join, list, readJson, withTensors } from "./files.ts";
import { attempt, type Result } from "./report.ts";
import { compare, same, type Check, type Values } from "./tolerance.ts";
import { compareEntries, logChecks, resolvedChecks, stepChecks, WALKS_ON_NOISE, watching, weightChecks, type Run } from "./trainer-runs.ts"; // prettier-ignore

type GoldenRow = Record<string, number[] | number>;

/** What a run of the Trainer on another task says. */
interface TaskRun extends Omit<Run, "optimizer"> {
  resolved: { label_names: string[] };
  /** Of a distillation. */
  temperature?: number;
  alpha?: number;
  beta?: number;
  problem_type_after_training: string | null;
}

/** Weights of a question answerer without a gradient: a softmax over tokens sees no shift of all of them. */
const UNSEEN_BY_SPANS = /^qa_outputs\.bias$/;

/** Runs of the Trainer on tasks other than sequence classification. */
export async function* taskRuns(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  for (const file of list(dir, "folders").filter((name) => wanted(`task-runs/${name}`))) {
    const common = { group: "task-runs", file, name: "" };
    yield { ...common, checks: await attempt(() => follow(join(dir, file))) };
  }
}

/** A task whose labels and outputs are those of the golden run, as they are. */
function goldenTask(
  labels: Readonly<Record<string, "i32" | "f32">>,
  outputs: readonly string[],
  metrics: (read: number[][]) => Metrics,
): Task<Read, NamedArray[]> {
  return {
    name: "golden",
    labelNames: Object.keys(labels),
    encode: (rows) => rows.map((row) => row["golden"] as GoldenRow & { input_ids: number[] }),
    collate(rows, pad) {
      const columns = Object.entries(labels).map(([name, dtype]): [string, NamedArray] => {
        const values = rows.map((row) => row[name] as number[] | number);
        const data = (dtype === "f32" ? Float32Array : Int32Array).from(values.flat());
        return [name, { data, shape: [rows.length, ...(Array.isArray(values[0]) ? [values[0].length] : [])], dtype }];
      });
      return { ...pad(rows), ...Object.fromEntries(columns) };
    },
    read: (output) => Object.fromEntries(outputs.map((name) => [name, output[name] as Tensor])),
    decode: (read) => [outputs.map((name) => read[name]!)],
    gather: (read) => ({
      labels: [],
      read: outputs.map((_, k) => read.flatMap((arrays) => Array.from(arrays[k]!.data))),
    }),
    metrics: ({ read }) => metrics(read),
  };
}

/** What was read of all batches, output by output. */
interface Read {
  labels: [];
  read: number[][];
}

type Metrics = Readonly<Record<string, number>>;

/** The metrics that a run computes of its own, by name. @param truth the labels by name, row after row */
function metricsOf(names: readonly string[], truth: readonly number[][], rows: number): (read: number[][]) => Metrics {
  const best = (values: readonly number[]): number => values.indexOf(Math.max(...values));
  const lines = (values: readonly number[], count: number): number[][] =>
    Array.from({ length: count }, (_, i) =>
      values.slice((i * values.length) / count, ((i + 1) * values.length) / count),
    );
  const share = (right: readonly boolean[]): number => right.filter(Boolean).length / right.length;
  const labels = truth[0]!;
  const known: Readonly<Record<string, (read: number[][]) => number>> = {
    token_accuracy: ([logits]) => share(lines(logits!, labels.length).flatMap((row, i) => (labels[i] === -100 ? [] : [best(row) === labels[i]]))), // prettier-ignore
    both_right: (read) => share(lines(read[0]!, rows).map((_, i) => read.every((all, k) => best(lines(all, rows)[i]!) === truth[k]![i]))), // prettier-ignore
    micro_f1: ([logits]) => multiLabelF1(labels, logits!.map((x) => Number(x > 0)), { classes: labels.length / rows, average: "micro" }).f1, // prettier-ignore
    subset_accuracy: ([logits]) => subsetAccuracy(labels, logits!.map((x) => Number(x > 0)), labels.length / rows), // prettier-ignore
    mse: ([logits]) => meanSquaredError(labels, logits!),
    pearson: ([logits]) => pearsonr(labels, logits!),
  };
  return (read) => Object.fromEntries(names.map((name) => [name, known[name]!(read)]));
}

/** Learned from a teacher too, as the run did it, which took the cross-entropy itself: so the model has no problem type afterwards. */
const taught = (task: Task<Read, NamedArray[]>, teacher: TrainableModel, { temperature, alpha, beta }: TaskRun) =>
  distillation(
    { ...task, createLoss: () => ({ compute: ({ logits }, classes) => crossEntropy(logits, classes) }) },
    { teacher, temperature, alpha, alphaCos: beta, compare: "classes" },
  );

const withoutFlos = ({ total_flos: _, ...entry }: Record<string, number>): Record<string, number> => entry;

/** Values less the mean of their row: what a softmax over the row sees of them. */
function centered({ data, shape }: Values): Values {
  const T = shape.at(-1)!;
  const rows = Array.from({ length: data.length / T }, (_, i) => Array.from(data).slice(i * T, (i + 1) * T));
  return { data: rows.flatMap((row) => row.map((x) => x - row.reduce((a, b) => a + b, 0) / T)), shape };
}

async function follow(path: string): Promise<Check[]> {
  const run = readJson<TaskRun>(join(path, "run.json"));
  const { float64: want } = run;
  const { remove_unused_columns: _, ...args } = run.options; // a batch here has what its task collates
  const isAdapted = exists(join(path, "adapter"));
  const isTaught = exists(join(path, "teacher"));
  const start = join(path, isAdapted ? "base" : isTaught ? "student" : "");
  const { architectures: [architecture] } = readJson<{ architectures: [string] }>(join(start, "config.json")); // prettier-ignore
  const data = readJson<Record<"train" | "eval", GoldenRow[]>>(join(path, "data.json"));
  const model = await openModel(start);
  if (isAdapted) await PeftModel.fromPretrained(model, join(path, "adapter"), { isTrainable: true });
  const datasetOf = (name: "train" | "eval"): Dataset =>
    Dataset.fromRows(
      data[name].map((golden): Row => ({ text: "", golden })),
      { name },
    );
  const isFraction = (name: string): boolean =>
    data.train.some((row) => [row[name]!].flat().some((value) => !Number.isInteger(value)));
  const isTarget = run.problem_type_after_training !== null && !run.problem_type_after_training.startsWith("single"); // floats: several labels, or a number
  const labels = Object.fromEntries(run.resolved.label_names.map((name) => [name, isTarget || isFraction(name) ? ("f32" as const) : ("i32" as const)])); // prettier-ignore
  return withTensors(join(path, "predictions.safetensors"), async (golden) => {
    const isSpan = architecture.endsWith("ForQuestionAnswering");
    const outputs = isSpan ? ["start_logits", "end_logits"] : ["logits"];
    const lastNorm = `layer\\.${Number(sizesOf(model.config).num_hidden_layers) - 1}\\.output\\.LayerNorm\\.bias$`;
    const unseen = isSpan ? new RegExp([WALKS_ON_NOISE, UNSEEN_BY_SPANS].map(({ source }) => source).concat(lastNorm).join("|")) : WALKS_ON_NOISE; // prettier-ignore
    const known = Object.keys(want.log_history.find((entry) => "eval_loss" in entry) ?? {});
    const own = known.flatMap((name) => /^eval_(?!loss$|runtime$|.*per_second$)(.*)/.exec(name)?.[1] ?? []);
    const truth = run.resolved.label_names.map((name) => data.eval.flatMap((row) => row[name]!));
    const metrics = metricsOf(own, truth, data.eval.length);
    const steps: Parameters<typeof stepChecks>[0] = [];
    const task = goldenTask(labels, outputs, metrics);
    const teacher = isTaught ? await openModel(join(path, "teacher")) : undefined;
    const trainer = new Trainer({
      ...{
        model,
        task: teacher ? taught(task, teacher, run) : task,
        trainDataset: datasetOf("train"),
        evalDataset: datasetOf("eval"),
      },
      tokenizer: { modelMaxLength: Infinity, padTokenId: 0, encodeBatch: () => [] },
      args: { ...args, train_sampling_strategy: "sequential" },
      callbacks: [watching(steps)],
    });
    const result = await trainer.train();
    const { read } = await trainer.predict(datasetOf("eval"));
    const predictions = await Promise.all(outputs.map(async (name, k) => {
      const tensor = (await golden(`predictions.${k}`))!;
      const seen = (values: Values): Values => (isSpan ? centered(values) : values);
      return compare(`predictions ${name}`, seen({ data: read[k]!, shape: tensor.shape }), seen(tensor), { rtol: 1e-4, atol: 1e-4 });
    })); // prettier-ignore
    const checks = [
      ...resolvedChecks(trainer, run.resolved),
      ...stepChecks(steps, want.steps),
      // PEFT keeps the head as it was beside the one that is trained, and Transformers counts its parameters as well.
      ...(isAdapted
        ? logChecks(trainer.state.logHistory.map(withoutFlos), want.log_history.map(withoutFlos))
        : logChecks(trainer.state.logHistory, want.log_history)),
      same("global_step", result.globalStep, want.output.global_step),
      ...compareEntries("output", { training_loss: result.trainingLoss }, { training_loss: want.output.training_loss }),
      same("problem_type", model.config.problem_type, run.problem_type_after_training),
      ...(await weightChecks(model, join(path, "final.safetensors"), unseen, isAdapted ? keyInFile : undefined)),
      ...predictions,
    ];
    model.dispose();
    teacher?.dispose();
    return checks;
  });
}
