import "@gpugrad/autograd";
import { AutoModelForSequenceClassification, AutoTokenizer } from "@gpugrad/bert";
import { scope } from "@gpugrad/tensor";
import { AdamW, clipFactor, getScheduler } from "@gpugrad/train";
import { followTrainer, resumeTrainer } from "./trainer-runs.ts";
import { exists, join, list, readJson, valuesOf, withTensors } from "./files.ts";
import { attempt, type Result } from "./report.ts";
import { compare, same, type Check, type Values } from "./tolerance.ts";

/** What steps.json says: the loop in words, and what each step gave in float64. */
interface Loop {
  loop: string[];
  optimizer: string;
  scheduler: string;
  weight_decay_0: string[];
  float64: { rows: number[]; lr: number; loss: number; grad_norm: number }[];
  float32_drift_of_exp_avg: Drift;
  float32_drift_of_exp_avg_sq: Drift;
}

/** How far PyTorch's own float32 is from its float64 at the end, for each tensor. */
interface Drift {
  per_tensor: Record<string, number>;
}

type Row = Record<"input_ids" | "attention_mask" | "token_type_ids", number[]> & { labels: number };

/** The folder's README: "losses 1e-5, grad_norm 1e-4 relative, weights 5e-5, key.bias not at all". */
const advised = { loss: { rtol: 0, atol: 1e-5 }, gradNorm: { rtol: 1e-4, atol: 0 }, weights: { rtol: 0, atol: 5e-5 } };
const WALKS_ON_NOISE = /attention\.self\.key\.bias$/;

/** Training runs: the loop written by hand, those of the Trainer, and a folder as a Trainer leaves it. */
export async function* train(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  for (const folder of list(dir, "folders")) {
    if (folder === "model" || !wanted(`train/${folder}`)) continue; // the weights that the runs begin with
    const told = { group: "train", file: folder, name: "" };
    const path = join(dir, folder);
    if (exists(join(path, "steps.json"))) yield { ...told, checks: await attempt(() => followLoop(dir, path)) };
    else if (exists(join(path, "about.json"))) yield { ...told, checks: await attempt(() => openSaved(path)) };
    else if (folder === "resume") yield { ...told, checks: await attempt(() => resumeTrainer(dir, path)) };
    else yield { ...told, checks: await attempt(() => followTrainer(dir, path)) };
  }
}

/** The number that follows `name` in one of the sentences of steps.json. */
function numberAfter(name: RegExp, text: string): number {
  const found = new RegExp(`${name.source}\\D{0,2}?(\\d[\\d.e+-]*)`).exec(text)?.[1];
  if (found === undefined) throw new Error(`steps.json: no number after ${name.source} in: ${text}`);
  return Number(found);
}

async function followLoop(dir: string, path: string): Promise<Check[]> {
  const steps = readJson<Loop>(join(path, "steps.json"));
  const { train: rows } = readJson<{ train: Row[] }>(join(dir, "data.json"));
  const model = await AutoModelForSequenceClassification.fromPretrained(join(dir, "model"), { dtype: "f32" });
  model.train();

  const noDecay = new Set(steps.weight_decay_0);
  const named = [...model.namedParameters()];
  const optimizer = new AdamW(
    [
      { params: named.filter(([name]) => !noDecay.has(name)) },
      { params: named.filter(([name]) => noDecay.has(name)), options: { weightDecay: 0 } },
    ],
    { weightDecay: numberAfter(/weight_decay /, steps.optimizer) },
  );
  const scheduler = getScheduler(/get_scheduler\('(\w+)'/.exec(steps.scheduler)?.[1] ?? "", {
    lr: numberAfter(/lr=/, steps.optimizer),
    numWarmupSteps: numberAfter(/num_warmup_steps=/, steps.scheduler),
    numTrainingSteps: numberAfter(/num_training_steps=/, steps.scheduler),
  });
  const maxNorm = numberAfter(/clip_grad_norm_\(model.parameters\(\), /, steps.loop.join(" "));

  const rates: number[] = [];
  const losses: number[] = [];
  const norms: number[] = [];
  for (const step of steps.float64) {
    await scope(async () => {
      const batch = step.rows.map((row) => rows[row]!);
      const column = (key: keyof Row) => batch.map((row) => row[key]);
      const [input_ids, attention_mask, token_type_ids] = [
        column("input_ids"),
        column("attention_mask"),
        column("token_type_ids"),
      ];
      const { loss } = model.forward({
        input_ids,
        attention_mask,
        token_type_ids,
        labels: column("labels"),
      });
      loss!.backward();
      const clipping = clipFactor(model.parameters(), maxNorm);
      optimizer.lr = scheduler.lr;
      rates.push(scheduler.lr);
      optimizer.step(clipping);
      scheduler.step();
      optimizer.zeroGrad();
      losses.push(await loss!.item());
      norms.push(await clipping.norm.item());
    });
  }

  const trace = (name: string, got: number[], want: number[], tolerance: { rtol: number; atol: number }) =>
    compare(name, listed(got), listed(want), tolerance);
  const checks = [
    trace(
      "lr",
      rates,
      steps.float64.map((s) => s.lr),
      { rtol: 1e-12, atol: 1e-18 },
    ),
    trace(
      "loss",
      losses,
      steps.float64.map((s) => s.loss),
      advised.loss,
    ),
    trace(
      "grad_norm",
      norms,
      steps.float64.map((s) => s.grad_norm),
      advised.gradNorm,
    ),
  ];
  await withTensors(join(path, "final.safetensors"), async (golden, keys) => {
    const got = new Map(model.namedTensors());
    for (const key of keys.filter((k) => !WALKS_ON_NOISE.test(k))) {
      const parameter = got.get(key);
      checks.push(compare(key, parameter && (await valuesOf(parameter)), (await golden(key))!, advised.weights));
    }
  });
  // For the state nothing is advised: the rule of the models' README, with the drift of PyTorch's own float32.
  const drift = { ...steps.float32_drift_of_exp_avg.per_tensor, ...steps.float32_drift_of_exp_avg_sq.per_tensor };
  await withTensors(join(path, "optimizer.safetensors"), async (golden, keys) => {
    const got = optimizer.state();
    for (const key of keys.filter((k) => !WALKS_ON_NOISE.test(k))) {
      const want = (await golden(key))!;
      const largest = Math.max(...Array.from(want.data, Math.abs));
      const tolerance = { rtol: 1e-4, atol: Math.max(8 * (drift[key] ?? 0), 2e-6 * largest) };
      const state = got.get(key);
      checks.push(compare(key, state && (await valuesOf(state)), want, tolerance));
    }
    for (const tensor of got.values()) tensor.dispose();
  });
  optimizer.dispose();
  model.dispose();
  return checks;
}

interface Saved {
  vocab_size: number;
  [encodings: `encoded_with_max_length_${number}`]: Encoded[];
}

interface Encoded {
  text: string | [string, string];
  input_ids: number[];
  token_type_ids: number[];
  attention_mask: number[];
}

/** A folder that the Trainer saved with its tokenizer: the model opens whole, and the tokenizer gives the same tokens. */
async function openSaved(path: string): Promise<Check[]> {
  const about = readJson<Saved>(join(path, "about.json"));
  const reports: string[] = [];
  const model = await AutoModelForSequenceClassification.fromPretrained(path, { onReport: (r) => reports.push(r) });
  model.dispose();
  const tokenizer = await AutoTokenizer.fromPretrained(path);
  const checks = [same("load report", reports, []), same("vocab_size", tokenizer.vocabSize, about.vocab_size)];
  for (const [key, encodings] of Object.entries(about)) {
    const maxLength = Number(/^encoded_with_max_length_(\d+)$/.exec(key)?.[1]);
    if (!maxLength) continue;
    for (const { text, ...want } of encodings as unknown as Encoded[]) {
      const [first, textPair] = typeof text === "string" ? [text, undefined] : text;
      const { input_ids, token_type_ids, attention_mask } = tokenizer.encode(first, {
        ...{ textPair, maxLength, truncation: true, padding: "max_length" },
      });
      checks.push(same(JSON.stringify(text), { input_ids, token_type_ids, attention_mask }, want));
    }
  }
  return checks;
}

const listed = (data: number[]): Values => ({ data, shape: [data.length] });
