import { noGrad } from "@gpugrad/autograd";
import type { FromPretrainedOptions, PreTrainedModel } from "@gpugrad/bert";
import { Linear, type Module } from "@gpugrad/nn";
import { add, mul, scope, sum, type Tensor } from "@gpugrad/tensor";
import { exists, join, list, readJson, toTensor, valuesOf, withTensors, type Golden } from "./files.ts";
import { adapters } from "./adapters.ts";
import { distillation } from "./distillation.ts";
import { classOf, compareAll, readInputs, type Model, type Opens, type Output } from "./any-model.ts";
import { attempt, type Result } from "./report.ts";
import { mismatch, same, type Check, type Values } from "./tolerance.ts";

/** What reference.json says of a folder. */
interface Reference {
  architecture?: string;
  parameters_without_gradient?: string[];
  tensors?: Record<string, { atol: number }>;
}

/** Every folder of a model: states, attentions, logits, loss and gradients, and the report of every way to open it. */
export async function* models(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  for (const folder of list(dir, "folders")) {
    for (const result of casesOf(dir, folder)) {
      const { name, run, notCovered } = result;
      if (!wanted(`models/${folder}/${name}`)) continue;
      const told = { group: "models", file: folder, name };
      if (run) yield { ...told, checks: await attempt(run) };
      else yield { ...told, checks: [], notCovered: notCovered! };
    }
  }
}

/** A case before it is run: how, or why not. */
interface Planned {
  name: string;
  run?: () => Promise<Check[]>;
  notCovered?: string;
}

function* casesOf(dir: string, name: string): Generator<Planned> {
  const folder = join(dir, name);
  const reference = join(folder, "reference.json");
  if (exists(reference)) {
    const { architecture, ...rest } = readJson<Reference>(reference);
    if (architecture === undefined) yield severalModels(dir, name);
    else {
      const found = classOf(architecture);
      if (found) yield { name: architecture, run: () => wholeModel(folder, found, rest) };
      else yield { name: architecture, notCovered: `no such architecture here: ${architecture}` };
    }
  }
  const loads = join(folder, "expected-load.json");
  if (!exists(loads)) return;
  for (const load of readJson<Load[]>(loads)) {
    const given = Object.keys(load.arguments).length > 0 ? ` ${JSON.stringify(load.arguments)}` : "";
    yield { name: `load as ${load.open_as}${given}`, ...planLoad(folder, name, load) };
  }
}

/** Folders that are about more than one model. */
function severalModels(dir: string, name: string): Planned {
  if (exists(join(dir, name, "teacher"))) return { name: "distillation", run: () => distillation(join(dir, name)) };
  if (name.startsWith("lora-")) return { name: "adapters", run: () => adapters(dir, name) };
  return { name: "", notCovered: "several in one folder" };
}

/** Opens a folder in f32, runs `work`, gives everything back. */
async function opened<T>(folder: string, opens: Opens, work: (model: Model) => Promise<T>): Promise<T> {
  const model = (await opens.fromPretrained(folder, { dtype: "f32", onReport: () => undefined })) as Model;
  try {
    return await work(model);
  } finally {
    model.dispose();
  }
}

const wholeModel = (
  folder: string,
  opens: Opens,
  { tensors = {}, parameters_without_gradient = [] }: Reference,
): Promise<Check[]> =>
  opened(folder, opens, (model) =>
    withTensors(join(folder, "reference.safetensors"), async (golden) => {
      const inputs = readInputs(join(folder, "inputs.json"));
      const got = new Map<string, Values>();
      await scope(async () => {
        const watched = watch(model);
        const out = model.forward(inputs, { outputHiddenStates: true });
        for (const [name, x] of watched) got.set(name, await valuesOf(x));
        (out.loss ?? (await weightedLoss(out, golden)))?.backward();
        await collect(got, out);
        // Attention probabilities come by the plain formula: forward only, so that the gradients are those of fused attention.
        const plain = noGrad(() => model.forward(inputs, { outputAttentions: true }));
        for (const [i, x] of (plain.attentions ?? []).entries()) got.set(`attentions.${i}`, await valuesOf(x));
      });
      const zeros: Check[] = [];
      for (const [name, parameter] of model.namedTensors()) {
        if (parameter.grad) got.set(`grad.${name}`, await valuesOf(parameter.grad));
        if (parameters_without_gradient.includes(name) && parameter.grad?.size) {
          const nonzero = (await parameter.grad.data()).some((v) => v !== 0);
          zeros.push(same(`no grad.${name}`, nonzero, false));
        }
      }
      return [...(await compareAll(got, tensors, golden)), ...zeros];
    }),
  );

/** Everything a model put out, by the reference's names. */
async function collect(got: Map<string, Values>, out: Output): Promise<void> {
  const { hidden_states = [], attentions = [], ...single } = out;
  for (const [i, x] of hidden_states.entries()) got.set(`hidden_states.${i}`, await valuesOf(x));
  for (const [i, x] of attentions.entries()) got.set(`attentions.${i}`, await valuesOf(x));
  if (hidden_states.length > 0) got.set("last_hidden_state", got.get(`hidden_states.${hidden_states.length - 1}`)!);
  for (const [name, x] of Object.entries(single)) got.set(name, await valuesOf(x));
}

/** What passes through parts of a model in the forwards to come, as PyTorch's hooks on them see it. */
function watch(model: Model): Map<string, Tensor> {
  const watched = new Map<string, Tensor>();
  type Part = Module & { forward(x: Tensor, ...rest: unknown[]): Tensor };
  for (const [path, part] of model.namedModules()) {
    const isEmbeddings = /^([^.]+\.)?embeddings$/.test(path);
    const isClassifier = /^classifier(\.out_proj)?$/.test(path) && part instanceof Linear;
    if (!isEmbeddings && !isClassifier) continue;
    const own = part as Part;
    const forward = own.forward.bind(own);
    own.forward = (x, ...rest) => {
      const y = forward(x, ...rest);
      if (isEmbeddings) watched.set("embedding_output", y);
      else watched.set("classifier_input", x);
      return y;
    };
  }
  return watched;
}

/** The loss of a model without a head: Σ output · loss_weight.output. */
async function weightedLoss(out: Output, golden: Golden): Promise<Tensor | undefined> {
  let loss: Tensor | undefined;
  for (const name of ["last_hidden_state", "pooler_output"] as const) {
    const weight = await golden(`loss_weight.${name}`);
    if (!weight || !out[name]) continue;
    const term = sum(mul(out[name], toTensor(weight)));
    loss = loss ? add(loss, term) : term;
  }
  if (loss) out.loss = loss;
  return loss;
}

/** A way to open a folder, and what Transformers says then. */
interface Load {
  open_as: string;
  arguments: Record<string, unknown>;
  class?: string;
  missing?: string[];
  unexpected?: string[];
  mismatched?: [string, number[], number[]][];
  error?: string;
  dtype_after_loading?: string;
  printed: string[];
}

const dtypes: Record<string, "f32" | "f16" | "bf16"> = { float32: "f32", float16: "f16", bfloat16: "bf16" };

function planLoad(folder: string, name: string, load: Load): Omit<Planned, "name"> {
  const opens = classOf(load.open_as);
  if (!opens) return { notCovered: `no such architecture here: ${load.open_as}` };
  const { dtype, num_labels, ignore_mismatched_sizes, ...unknown } = load.arguments;
  if (Object.keys(unknown).length > 0)
    return { notCovered: `arguments not known here: ${Object.keys(unknown).join(", ")}` };
  const reports: string[] = [];
  const options: FromPretrainedOptions = {
    ...(dtype !== undefined && { dtype: dtypes[dtype as string]! }),
    ...(num_labels !== undefined && { config: { num_labels: num_labels as number } }),
    ignoreMismatchedSizes: ignore_mismatched_sizes === true,
    onReport: (report) => reports.push(report),
  };
  const printed = (text: string): string[] =>
    text.split("\n").map((line) => line.replace(/(LOAD REPORT from: ).*/, `$1${name}`));
  return {
    async run() {
      let model: PreTrainedModel;
      try {
        model = await opens.fromPretrained(folder, options);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (load.error === undefined) return [mismatch("error", message)];
        const lines = printed(message);
        return [
          same(
            "report in the error",
            load.printed.filter((line) => !lines.includes(line)),
            [],
          ),
        ];
      }
      const plan = model.loadPlan!;
      const dtype = model.parameters()[0]!.dtype;
      const checks = [
        same("error", undefined, load.error),
        same("class", (model.constructor as unknown as { architecture: string }).architecture, load.class),
        same("missing", plan.missing, load.missing),
        same("unexpected", plan.unexpected, load.unexpected),
        same("mismatched", plan.mismatched, load.mismatched),
        same("dtype_after_loading", dtype, dtypes[load.dtype_after_loading!]),
        same("printed", reports.flatMap(printed), load.printed),
      ];
      model.dispose();
      return checks;
    },
  };
}
