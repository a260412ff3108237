import {
  getPeftModel,
  openFolder,
  readJson,
  type LoraOptions,
  type PeftTaskType,
  type PreTrainedModel,
} from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { InvalidArgumentError, type Command } from "commander";
import { gpugradCommand } from "./called-as.ts";
import { wholeNumber } from "../text/texts.ts";

/** What a command line says of an adapter, under PEFT's names. */
export interface LoraFlags {
  lora?: boolean;
  loraR?: number;
  loraAlpha?: number;
  loraDropout?: number;
  loraTargetModules?: string | string[];
  modulesToSave?: string[];
  useRslora?: boolean;
  useDora?: boolean;
}

const number = (text: string): number => {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value > 0 && value < Infinity)) throw new InvalidArgumentError("It has to be a number above 0.");
  return value;
};

/** Names in a list, or with any other character a regular expression for whole names. */
const modules = (text: string): string | string[] =>
  text === "all-linear" || !/^[\w.,-]+$/.test(text) ? text : text.split(",");

/** Adds the options of {@link LoraFlags}. */
export function addLoraOptions(command: Command, probability: (text: string) => number): Command {
  return command
    .optionsGroup("LoRA, as in PEFT:")
    .option("--lora", "train an adapter beside the model's frozen weights; any of the options below means this, too")
    .option("--lora-r <n>", "rank of the updates (default: 8)", wholeNumber(1))
    .option("--lora-alpha <x>", "updates are multiplied with this / r (default: 8)", number)
    .option("--lora-dropout <p>", "dropout of what enters an update (default: 0)", probability)
    .option(
      "--lora-target-modules <a,b>",
      "names of the layers that are adapted, a regular expression, or all-linear (default: the projections of queries and values)",
      modules,
    )
    .option(
      "--modules-to-save <a,b>",
      "parts that are trained and saved whole (default: those without weights in the model's files, such as a new classifier)",
      (text) => text.split(","),
    )
    .option("--use-rslora", "multiply updates with alpha / √r")
    .option("--use-dora", "learn the lengths of the weights' rows apart from their directions");
}

/** Whether an adapter is trained. */
export const wantsLora = ({ lora, loraR, loraAlpha, loraDropout, loraTargetModules, modulesToSave, useRslora, useDora }: LoraFlags): boolean => // prettier-ignore
  lora ?? [loraR, loraAlpha, loraDropout, loraTargetModules, modulesToSave, useRslora, useDora].some((v) => v !== undefined); // prettier-ignore

/** PEFT's tasks, by the ends of the names of models for them. */
export const TASK_TYPES: readonly (readonly [suffix: string, type: PeftTaskType])[] = [
  ["ForSequenceClassification", "SEQ_CLS"],
  ["ForTokenClassification", "TOKEN_CLS"],
  ["ForQuestionAnswering", "QUESTION_ANS"],
  ["Model", "FEATURE_EXTRACTION"],
];

/**
 * Puts a fresh adapter on a model.
 * @param unused weights that nothing depends on
 * @throws where the model is an adapter's already
 */
export async function addLora(
  model: PreTrainedModel,
  flags: LoraFlags & { model: string },
  unused?: RegExp,
): Promise<void> {
  // prettier-ignore
  const { architecture } = model.constructor as typeof PreTrainedModel;
  const id = flags.model;
  if (await readJson(await openFolder(id), "adapter_config.json")) {
    throw new GpugradError(
      `--lora: ${id} is an adapter, and an adapter needs a model. Merge it first: ${gpugradCommand()} merge ${id} --output_dir FOLDER`,
    );
  }
  const options: LoraOptions = {
    ...(flags.loraR !== undefined && { r: flags.loraR }),
    ...(flags.loraAlpha !== undefined && { lora_alpha: flags.loraAlpha }),
    ...(flags.loraDropout !== undefined && { lora_dropout: flags.loraDropout }),
    ...(flags.loraTargetModules !== undefined && { target_modules: flags.loraTargetModules }),
    ...(flags.useRslora && { use_rslora: true }),
    ...(flags.useDora && { use_dora: true }),
    modules_to_save: flags.modulesToSave ?? freshModules(model, unused),
    task_type: TASK_TYPES.find(([suffix]) => architecture.endsWith(suffix))?.[1] ?? null,
  };
  getPeftModel(model, options);
}

/** Parts of a model that have no weights in its files: an adapter has to have them, or opening it would draw others. */
export function freshModules({ loadPlan }: PreTrainedModel, unused?: RegExp): string[] {
  const keys = [...(loadPlan?.missing ?? []), ...(loadPlan?.mismatched ?? []).map(([key]) => key)];
  const paths = new Set(keys.filter((key) => !unused?.test(key)).map((key) => key.replace(/\.[^.]*$/, "")));
  return [...paths].filter((path) => ![...paths].some((other) => path.startsWith(`${other}.`)));
}
