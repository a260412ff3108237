import { shareable, sizesOf } from "@gpugrad/bert";
import { shareableDataset } from "../hub/shareable-arguments.ts";
import { adapterOf } from "./adapter.ts";
import type { CallbackContext } from "../trainer/callbacks.ts";
import { TRAINING_ARGUMENTS, type TrainingArguments } from "../arguments/training-arguments.ts";

/** A setting: its name and value, and the default where that is another. */
export type Fact = [name: string, value: string, byDefault?: string];

/** What a run was started with, and on what. */
export interface Facts {
  /** Arguments that aren't at their defaults, and those that are. */
  changed: Fact[];
  defaults: Fact[];
  model: string;
  modelConfig: Fact[];
  environment: Fact[];
}

/** The facts of a run, without its token and without what a path says about its user. */
export function factsOf(
  args: TrainingArguments,
  { model, task, trainDataset, evalDataset }: CallbackContext,
  environment: Fact[],
): Facts {
  const changed: Fact[] = [];
  const defaults: Fact[] = [];
  for (const [name, value] of Object.entries(shareable(args) as TrainingArguments)) {
    const { default: byDefault } = TRAINING_ARGUMENTS[name as keyof TrainingArguments];
    if (JSON.stringify(value) === JSON.stringify(byDefault)) defaults.push([name, shown(value)]);
    else changed.push([name, shown(value), shown(byDefault)]);
  }
  for (const [name, dataset] of Object.entries({ trainDataset, evalDataset }))
    if (dataset) changed.push([name, `${shareableDataset(dataset.name)}, ${dataset.length.toLocaleString("en")} rows`]);

  for (const [name, value] of Object.entries(task.facts ?? {})) changed.push([name, value]);

  const config = shareable(model.config.toJSON()) as Record<string, unknown>;
  const { num_hidden_layers: layers, hidden_size: width, num_attention_heads: heads } = sizesOf(model.config);
  const shape = layers && width && heads ? `${layers} layers of width ${width} with ${heads} heads, ` : "";
  const parameters = model.parameters();
  const count = (some: typeof parameters): string => some.reduce((sum, { size }) => sum + size, 0).toLocaleString("en");
  const adapter = adapterOf(model);
  const trained = adapter ? `, ${count(parameters.filter((p) => p.requiresGrad))} of them trained: ${adapter}` : "";
  return {
    changed,
    defaults,
    model: `${model.config.model_type}: ${shape}${count(parameters)} parameters${trained}`,
    modelConfig: Object.entries(config).map(([name, value]) => [name, shown(value)]),
    environment,
  };
}

function shown(value: unknown): string {
  if (value === null) return "none";
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.length <= 20) return value.length === 0 ? "none" : value.map(shown).join(", ");
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)} …` : text;
}
