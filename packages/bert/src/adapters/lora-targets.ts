import { Linear, type Module } from "@gpugrad/nn";
import { sizesOf } from "../models/pretrained-config.ts";
import type { PreTrainedModel } from "../models/pretrained.ts";
import type { LoraConfig } from "./lora-config.ts";
import { LoraLinear } from "./lora.ts";

const QUERY_VALUE = ["query", "value"];
/** What is adapted where nothing is named: PEFT's choice, or for families without one the projections of queries and values. */
const targets: Readonly<Record<string, string[]>> = {
  ...{
    bert: QUERY_VALUE,
    roberta: QUERY_VALUE,
    "xlm-roberta": QUERY_VALUE,
    camembert: QUERY_VALUE,
    electra: QUERY_VALUE,
  },
  ...{ albert: QUERY_VALUE, distilbert: ["q_lin", "v_lin"], mpnet: ["q", "v"], modernbert: ["Wqkv"] },
  ...{ "deberta-v2": ["query_proj", "value_proj"], deberta: ["in_proj"] },
};

/** The linear layers of a family that are adapted where none are named; null where the family is not known. */
export const defaultTargets = (modelType: string): string[] | null => targets[modelType] ?? null;

/** Linear layers by their names in the model without adapters; adapted ones in place of theirs. */
export function linearLayers(model: Module): [path: string, layer: Linear<boolean> | LoraLinear][] {
  const found: [string, Linear<boolean> | LoraLinear][] = [];
  const visit = (module: Module, path: string): void => {
    if (module instanceof Linear || module instanceof LoraLinear) found.push([path, module as never]);
    else for (const [name, child] of module.children()) visit(child, path ? `${path}.${name}` : name);
  };
  visit(model, "");
  return found;
}

/** Whether `all-linear` leaves this layer as it is: the one that gives words or classes. */
export function isSpared(
  model: PreTrainedModel,
  path: string,
  layer: Linear<boolean> | LoraLinear,
  { values }: LoraConfig,
): boolean {
  if (values.target_modules !== "all-linear") return false;
  const { weight } = layer instanceof LoraLinear ? layer.base_layer : layer;
  return weight.shape[0] === sizesOf(model.config).vocab_size || /^(classifier|score)$/.test(path);
}
