import { arch, cpus, homedir, release, totalmem, type } from "node:os";
import { basename } from "node:path";
import { device } from "@gpugrad/tensor";
import type { CallbackContext } from "../trainer/callbacks.ts";
import { formatBytes } from "../format.ts";
import { TRAINING_ARGUMENTS, type TrainingArguments } from "../trainer/training-arguments.ts";
import { version } from "../version.ts";

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

const SECRET = /token$|secret|password|api_?key|credential/i;

/** The facts of a run, without secrets and without what a path says about its user. */
export function factsOf(args: TrainingArguments, { model, trainDataset, evalDataset }: CallbackContext): Facts {
  const changed: Fact[] = [];
  const defaults: Fact[] = [];
  for (const [name, { default: byDefault }] of Object.entries(TRAINING_ARGUMENTS)) {
    const value = args[name as keyof TrainingArguments];
    if (SECRET.test(name)) continue;
    if (JSON.stringify(value) === JSON.stringify(byDefault)) defaults.push([name, shown(value)]);
    else changed.push([name, shown(value), shown(byDefault)]);
  }
  for (const [name, dataset] of Object.entries({ trainDataset, evalDataset }))
    if (dataset) changed.push([name, `${publicName(dataset.name)}, ${dataset.length.toLocaleString("en")} rows`]);

  const config = Object.entries(JSON.parse(JSON.stringify(model.config)) as Record<string, unknown>);
  const { model_type, num_hidden_layers, hidden_size, num_attention_heads } = model.config;
  const parameters = model.parameters().reduce((sum, { size }) => sum + size, 0);
  return {
    changed,
    defaults,
    model: `${model_type}: ${num_hidden_layers} layers of width ${hidden_size} with ${num_attention_heads} heads, ${parameters.toLocaleString("en")} parameters`,
    modelConfig: config.filter(([name]) => !SECRET.test(name)).map(([name, value]) => [name, shown(value)]),
    environment: environment(),
  };
}

function environment(): Fact[] {
  const { description, vendor, architecture, via } = device().adapter;
  const driver = device().gpu.adapterInfo?.description;
  const [cpu] = cpus();
  return [
    ["adapter", description],
    ...(driver && driver !== description ? ([["driver", driver]] as Fact[]) : []),
    ["found as", [via, vendor, architecture].filter(Boolean).join(", ")],
    ["gpugrad", version()],
    ["Node", process.versions.node],
    ["system", `${type()} ${release()}, ${arch()}`],
    ["processor", `${cpu ? `${cpu.model.trim()}, ` : ""}${cpus().length} threads`],
    ["memory", formatBytes(totalmem())],
  ];
}

function shown(value: unknown): string {
  if (value === null) return "none";
  if (typeof value === "string") return publicName(value);
  if (Array.isArray(value) && value.length <= 20) return value.length === 0 ? "none" : value.map(shown).join(", ");
  const text = JSON.stringify(value, (name, inner: unknown) =>
    SECRET.test(name) ? undefined : typeof inner === "string" ? publicName(inner) : inner,
  );
  return text.length > 300 ? `${text.slice(0, 300)} …` : text;
}

/** A path's last part: what is before it may tell a user's name. Names of the Hub (`stanfordnlp/imdb`) stay as they are. */
export function publicName(name: string): string {
  const isPath = /^([/~.]|[a-z]:)|\\|\/.*\//i.test(name) || name.startsWith(homedir());
  return isPath ? basename(name.replaceAll("\\", "/")) : name.replace(/\bhf_\w+/g, "hf_…");
}
