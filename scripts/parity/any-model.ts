import { readFileSync } from "node:fs";
import * as bert from "@gpugrad/bert";
import {
  architectures,
  type BaseModelOutput,
  type FromPretrainedOptions,
  type HeadOutput,
  type ModelInputs,
  type OutputOptions,
  type PreTrainedModel,
} from "@gpugrad/bert";
import type { Golden } from "./files.ts";
import { compare, mismatch, type Check, type Values } from "./tolerance.ts";

/** What any model takes, and what any model gives. */
export type Inputs = ModelInputs & Record<string, unknown>;
export type Output = Partial<BaseModelOutput & HeadOutput>;
/** A model of any class here, as it is called. */
export type Model = PreTrainedModel & { forward(inputs: Inputs, options?: OutputOptions): Output };
/** A class, or an Auto class, that opens folders. */
export type Opens = { fromPretrained(folder: string, options?: FromPretrainedOptions): Promise<PreTrainedModel> };

/** A class of this library by Transformers' name for it: an Auto class, or that of an architecture. */
export const classOf = (name: string): Opens | undefined =>
  (name.startsWith("Auto") ? (bert as Record<string, unknown>)[name] : architectures[name]) as Opens | undefined;

/** inputs.json. Labels with a point in one of them are floats, though they may be whole. */
export function readInputs(path: string): Inputs {
  const text = readFileSync(path, "utf8");
  const inputs = JSON.parse(text) as Inputs & { labels?: number[] | number[][] };
  const { labels } = inputs;
  if (labels === undefined || !/"labels":[^"]*\d\.\d/.test(text)) return inputs;
  const shape = Array.isArray(labels[0]) ? [labels.length, labels[0].length] : [labels.length];
  return { ...inputs, labels: { data: Float32Array.from(labels.flat()), shape } };
}

/** "If a kernel sums in another order…, widen atol, not rtol": the rule of the folders' README. */
const RTOL = 1e-4;

export async function compareAll(
  got: Map<string, Values>,
  tensors: Record<string, { atol: number }>,
  golden: Golden,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [name, { atol }] of Object.entries(tensors)) {
    const want = await golden(name);
    if (!want) checks.push(mismatch(name, "reference.safetensors has no such tensor"));
    else checks.push(compare(name, got.get(name), want, { rtol: RTOL, atol }));
  }
  return checks;
}
