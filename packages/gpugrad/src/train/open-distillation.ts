import {
  AutoConfig,
  AutoModelForSequenceClassification,
  AutoTokenizer,
  dropoutNames,
  sizesOf,
  startFromTeacher,
  studentConfig,
  type PretrainedConfig,
  type Tokenizer,
} from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import {
  DataError,
  distillation,
  encodeRows,
  shownList,
  taskOf,
  withTeacherLogits,
  type Dataset,
  type Found,
  type Predictions,
  type RowPrediction,
  type Task as TrainerTask,
  type TrainableModel,
} from "@gpugrad/train";
import type { Command } from "commander";
import { missingWeights } from "../text/missing-weights.ts";
import { wholeNumber } from "../text/texts.ts";
import { KINDS, type Opener } from "./kinds.ts";
import { openModel } from "./open-model.ts";
import { openTask } from "./open-task.ts";
import { wantsLora } from "./lora.ts";
import { nonNegative, type TrainOptions, type TrainRequest } from "./options.ts";
import type { Task } from "./task.ts";

/** What `gpugrad distill` takes beside the options of `gpugrad train`. */
export interface DistillOptions {
  student: string;
  studentLayers: number;
  temperature: number;
  alpha: number;
  alphaCos: number;
  cacheTeacherLogits: boolean;
}

/** A student's task, and what it is learned from. */
export interface Distillation extends Task {
  teacher: TrainableModel;
  /** The task without a teacher. */
  plain: TrainerTask<Found>;
}

/** Adds the options of {@link DistillOptions}. */
export function addDistillOptions(command: Command): void {
  command
    .optionsGroup("Distillation:")
    .option(
      "--student-layers <n>",
      "the student is a DistilBERT that begins with n layers of the teacher",
      wholeNumber(1),
    )
    .option("--student <id>", "the student is this model: a hub id or a folder")
    .option("--temperature <t>", "by how much logits are divided before they are compared (default: 2)", nonNegative)
    .option("--alpha <a>", "what the teacher counts in the loss; the labels count 1 − a (default: 0.5)", nonNegative)
    .option(
      "--alpha-cos <b>",
      "what the direction of the last hidden states counts beside that (default: 0)",
      nonNegative,
    )
    .option(
      "--cache-teacher-logits",
      "compute the teacher's logits once, and keep them on disk for the next epochs and runs",
    );
}

/** Opens teacher and data as the options name them, and makes the student. */
export async function openDistillation(
  { options, args, maxLength: askedLength }: TrainRequest<DistillOptions>,
  note: (line: string) => void,
): Promise<Distillation> {
  const { student: id, studentLayers: layers, temperature, alpha, alphaCos, cacheTeacherLogits, ...others } = options;
  const { dropout, fromScratch, ignoreMismatchedSizes, initClassifier, ...shared } = others;
  if ((id === undefined) === (layers === undefined))
    throw new GpugradError("distill: no student, or two: give --student_layers N or --student ID.");
  if (wantsLora(options))
    throw new GpugradError(
      "distill: --lora trains an adapter beside a model, but a student is trained whole. Leave it out.",
    );
  if (initClassifier !== undefined)
    throw new GpugradError("distill: --init_classifier is for one model, but there are two here. Leave it out.");
  if (cacheTeacherLogits && alphaCos)
    throw new GpugradError(
      "distill: --cache_teacher_logits keeps logits, and --alpha_cos compares hidden states. Leave one out.",
    );

  const { model: teacher, tokenizer, task, ...data } = await openTask(shared, args.seed, note, askedLength);
  await checkTeacher(teacher, shared.model);
  const own = { ...shared, ...(dropout !== undefined && { dropout }), ...(fromScratch && { fromScratch }) };
  const student = id === undefined ? fromTeacher(teacher, layers!, own) : await openStudent(id, teacher, tokenizer, data.train, { ...own, ...(ignoreMismatchedSizes && { ignoreMismatchedSizes }) }, note); // prettier-ignore
  const plain = task ?? taskOf(student, data.train);
  const made: Distillation = {
    ...data,
    title: `${shared.model}, distilled on ${options.dataset ?? options.trainFile}`,
    ...{ model: student, teacher, plain },
    task: distillation(plain, { teacher, temperature, alpha, alphaCos }),
    tokenizer: sizesOf(student.config).type_vocab_size === undefined ? tokenizer.withModelInputNames(["input_ids", "attention_mask"]) : tokenizer, // prettier-ignore
  };
  if (!cacheTeacherLogits) return made;
  const maxLength = Math.min(data.maxLength ?? args.maxLength, tokenizer.modelMaxLength, student.config.maxLength);
  const withLogits = async (rows: Dataset): Promise<Dataset> => {
    const setting = { teacher, task: plain as TrainerTask<Predictions, RowPrediction>, tokenizer, maxLength };
    const { dataset, cache, note: problem } = await withTeacherLogits(rows, { ...setting, batchSize: args.perDeviceEvalBatchSize }); // prettier-ignore
    note(problem ?? `teacher: logits of ${rows.length} rows ${cache?.hit ? "are" : "were computed, and are kept"} in ${cache?.path}`); // prettier-ignore
    return dataset;
  };
  const { train, validation, test } = data;
  return {
    ...made,
    ...{ train: await withLogits(train), validation: await withLogits(validation) },
    ...(test && { test: await withLogits(test) }),
  };
}

/** @throws unless a model is a teacher: it has all of its weights, and its classes are those of the data */
async function checkTeacher(teacher: TrainableModel, id: string): Promise<void> {
  const head = /For[A-Z]\w*$/.exec(architectureOf(teacher))?.[0];
  const problem = missingWeights(teacher, head === undefined ? {} : { head });
  if (problem !== undefined)
    throw new GpugradError(
      `distill: ${problem} A teacher knows the task already: fine-tune it with gpugrad train first.`,
    );
  const { id2label } = await AutoConfig.fromPretrained(id);
  const [its, datas] = [id2label, teacher.config.id2label].map((names) => Object.values(names)) as [string[], string[]];
  if (its.some((name, i) => name !== `LABEL_${i}`) && its.join("\n") !== datas.join("\n"))
    throw new DataError(
      `distill: the data's classes [${shownList(datas)}] are not the teacher's [${shownList(its)}]. Name them as the teacher does.`,
    );
}

const architectureOf = ({ constructor }: TrainableModel): string =>
  (constructor as { architecture?: string }).architecture ?? "";

/** Opens models with the head that this one has. */
const autoFor = (model: TrainableModel): Opener =>
  KINDS.find(({ head, suffix }) => head !== undefined && architectureOf(model).endsWith(suffix))?.Auto ??
  AutoModelForSequenceClassification;

/** A DistilBERT with so many of the teacher's layers. */
function fromTeacher(teacher: TrainableModel, layers: number, { dropout, fromScratch }: TrainOptions): TrainableModel {
  const config = studentConfig(teacher.config, layers);
  if (dropout !== undefined) Object.assign(config, Object.fromEntries(dropoutNames(config).map((name) => [name, dropout]))); // prettier-ignore
  const student = autoFor(teacher).fromConfig(config);
  if (!fromScratch) startFromTeacher(student, teacher);
  return student;
}

/** Rows whose tokens are compared. */
const COMPARED = 8;

/** The model of this name, if it reads the teacher's tokens. */
async function openStudent(
  id: string,
  teacher: TrainableModel,
  tokenizer: Tokenizer,
  train: Dataset,
  options: TrainOptions,
  note: (line: string) => void,
): Promise<TrainableModel> {
  const known: PretrainedConfig = await AutoConfig.fromPretrained(id);
  const [own, theirs] = [sizesOf(known), sizesOf(teacher.config)].map(({ vocab_size }) => vocab_size);
  const rows = await Promise.all(Array.from({ length: Math.min(COMPARED, train.length) }, (_, i) => train.row(i)));
  const tokensOf = (by: Tokenizer): string => encodeRows(by, rows, 512).map(({ input_ids }) => Array.from(input_ids).join()).join("\n"); // prettier-ignore
  if (
    own !== theirs ||
    tokensOf(await AutoTokenizer.fromPretrained(id)) !== tokensOf(tokenizer.withTruncationSide("right"))
  )
    throw new GpugradError(
      `distill: ${id} has other tokens than the teacher (vocabularies of ${own} and ${theirs} words). Both have to read the same ones: name a student with the teacher's tokenizer.`,
    );
  const { id2label, label2id, problem_type } = teacher.config;
  return openModel(autoFor(teacher), { ...options, model: id }, known, { id2label, label2id, problem_type }, note);
}
