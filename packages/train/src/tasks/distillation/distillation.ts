import { noGrad } from "@gpugrad/autograd";
import { checkInputs, type PretrainedConfig } from "@gpugrad/bert";
import { add, checkOptions, device, didYouMean, GpugradError, keep, mul, scope, type Tensor } from "@gpugrad/tensor";
import type { Inputs } from "../../data/batch.ts";
import { restore, snapshot, type Snapshot } from "../../diagnostics/snapshot.ts";
import { shareableDataset } from "../../hub/shareable-arguments.ts";
import { inMode } from "../../trainer/mode.ts";
import type { Found, Loss, ModelOutput, Task, TrainableModel } from "../task.ts";
import { comparisons, cosineDistance, placed, type ComparisonName } from "./comparisons.ts";

/** The column of a row, and the array of a batch, with what the teacher gives for it: it is then not computed again. */
export const TEACHER_LOGITS = "teacher_logits";

/** How a student learns from a teacher. */
export interface DistillationOptions {
  /** It takes the student's tokens and has the same labels. Whoever opened it disposes it. */
  teacher: TrainableModel;
  /** T: by how much logits are divided before they are compared (default 2). */
  temperature?: number | undefined;
  /** α: what the teacher's logits count in the loss; the labels count 1 − α (default 0.5). */
  alpha?: number | undefined;
  /** β: what the directions of the last hidden states count beside the two (default 0). */
  alphaCos?: number | undefined;
  /** What the logits are of. Default: what the task predicts. */
  compare?: ComparisonName | undefined;
}

/** What the logits of this package's tasks are of. */
const COMPARISON_OF: Readonly<Record<string, ComparisonName>> = {
  ...{ "text-classification": "classes", "multiple-choice": "classes", "multi-label-classification": "label sets" },
  ...{ regression: "numbers", "token-classification": "tokens", "masked-lm": "tokens", "question-answering": "spans" },
};

/**
 * A task that is learned from a teacher as well as from labels. The loss, in training and in evaluations, is
 * `α T² KL(teacher ‖ student) + (1 − α) L + β (1 − cos)`: L is the task's own loss, KL the divergence of the softened probabilities
 * (of a regression the squared difference, without T), and cos that of the last hidden states, the mean over real tokens.
 *
 * The teacher computes in evaluation mode and without a tape. Where rows bring its logits, it doesn't compute at all: see
 * {@link withTeacherLogits}.
 *
 * ```ts
 * const task = distillation(textClassification(student.config), { teacher, temperature: 2, alpha: 0.5 });
 * await new Trainer({ model: student, task, tokenizer, trainDataset, args }).train();
 * ```
 * @throws {@link GpugradError} for a task whose logits can't be compared
 * @see https://arxiv.org/abs/1503.02531 Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network
 * @see https://arxiv.org/abs/1910.01108 Sanh, Debut, Chaumond, Wolf: DistilBERT
 */
export function distillation<F extends Found, P>(task: Task<F, P>, options: DistillationOptions): Task<F, P> {
  checkOptions("distillation", options, {
    ...{ teacher: "object", temperature: "number?", alpha: "number?", alphaCos: "number?", compare: "string?" },
  });
  const { teacher, temperature = 2, alpha = 0.5, alphaCos = 0, compare = COMPARISON_OF[task.name] } = options;
  const refuse = (problem: string): never => {
    throw new GpugradError(`distillation: ${problem}`);
  };
  if (!(temperature > 0 && temperature < Infinity)) refuse(`temperature is ${temperature}; it has to be positive.`);
  if (!(alpha >= 0 && alpha <= 1)) refuse(`alpha is ${alpha}; it has to lie between 0 and 1.`);
  if (!(alphaCos >= 0 && alphaCos < Infinity)) refuse(`alphaCos is ${alphaCos}; it can't be negative.`);
  const known = Object.keys(comparisons);
  if (task.forward || compare === undefined)
    return refuse(
      `${task.name} has no logits to compare with a teacher's. It works for ${Object.keys(COMPARISON_OF).join(", ")}, ` +
        `and for a task of your own whose model gives logits: { compare }, one of ${known.join(", ")}.`,
    );
  if (!known.includes(compare)) refuse(`compare ${compare} is not known; there are ${known.join(", ")}.${didYouMean(compare, known)}`); // prettier-ignore

  const own = (): void => {
    for (const [, tensor] of teacher.namedTensors()) keep(tensor, "teacher");
  };
  own();
  let saved: Snapshot | undefined;
  /** Puts the teacher on the present device, where the one that it was on has been lost. */
  const revive = async (): Promise<void> => {
    if (saved && teacher.parameters()[0]!.storage.device !== device()) {
      restore(teacher, saved);
      own();
    }
    saved ??= await snapshot(teacher);
  };

  const states = { outputHiddenStates: alphaCos > 0 };
  /** What the teacher gives for the student's inputs. */
  const taught = ({ [TEACHER_LOGITS]: logits, ...inputs }: Inputs): ModelOutput => {
    if (logits !== undefined && alphaCos === 0) return { logits: placed(logits) };
    const unlabelled = Object.fromEntries(Object.entries(inputs).filter(([name]) => !labelNames.includes(name)));
    return scope(() =>
      noGrad(() => inMode(teacher, false, () => teacher.forward(unlabelled as typeof inputs, states) as ModelOutput)),
    );
  };
  const { labelNames = ["labels"] } = task;
  /** The loss of a batch, of which `hard` is that of the labels. */
  const lossOf = (hard: Tensor, output: ModelOutput, inputs: Inputs): Tensor => {
    if (alpha === 0 && alphaCos === 0) return hard;
    const { labels, attention_mask: mask } = inputs;
    const from = taught(inputs);
    const soft = alpha > 0 && mul(comparisons[compare](output, from, { temperature, labels }), alpha);
    const labelled = soft ? add(soft, mul(hard, 1 - alpha)) : hard;
    return alphaCos > 0 ? add(labelled, mul(cosineDistance(output, from, mask), alphaCos)) : labelled;
  };

  return {
    ...task,
    readsRows: true,
    collate(rows, pad, place) {
      const arrays = task.collate(rows, pad, place);
      const logits = rows.map((row) => row[TEACHER_LOGITS] as Float32Array | undefined);
      if (!logits.every((each) => each !== undefined)) return arrays;
      const data = Float32Array.from(logits.flatMap((each) => [...each]));
      return { ...arrays, [TEACHER_LOGITS]: { data, shape: [rows.length, data.length / rows.length], dtype: "f32" } };
    },
    check(arrays, model) {
      task.check?.(arrays, model);
      checkInputs(teacher.config, { ids: arrays.input_ids.data, types: arrays["token_type_ids"]?.data });
    },
    forward(model, inputs) {
      const { [TEACHER_LOGITS]: _, ...others } = inputs;
      const output = model.forward(others, states) as ModelOutput;
      return output.loss ? { ...output, loss: lossOf(output.loss, output, inputs) } : output;
    },
    async createLoss(setting) {
      await revive();
      const hard: Loss = (await task.createLoss?.(setting)) ?? {};
      return Object.create(hard, {
        compute: {
          get: (): Loss["compute"] => {
            const { compute } = hard;
            return compute && ((output, labels, inputs) => lossOf(compute(output, labels, inputs), output, inputs));
          },
        },
      }) as Loss;
    },
    twin() {
      const other = new (teacher.constructor as new (config: PretrainedConfig) => TrainableModel)(teacher.config);
      return { ...distillation(task, { ...options, teacher: other }), dispose: () => other.dispose() };
    },
    facts: {
      teacher: `${shareableDataset(teacher.nameOrPath ?? "a model")} (${teacher.numParameters().toLocaleString("en")} parameters)`,
      ...{ temperature: String(temperature), alpha: String(alpha), alpha_cos: String(alphaCos) },
    },
  };
}
