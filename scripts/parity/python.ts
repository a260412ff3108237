import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { noGrad } from "@gpugrad/autograd";
import {
  architectures,
  AutoModel,
  AutoTokenizer,
  normalizeVectors,
  openFolder,
  PeftModel,
  poolTokens,
  readSentenceSettings,
  sentenceFiles,
  sizesOf,
  writeFileAside,
} from "@gpugrad/bert";
import { scope, type Tensor } from "@gpugrad/tensor";
import { padTokens } from "@gpugrad/train";
import { openBase } from "./adapters.ts";
import { exists, join, list, readJson, valuesOf } from "./files.ts";
import { readInputs, type Model, type Opens } from "./any-model.ts";
import { attempt, type Result } from "./report.ts";
import { compare, mismatch, same, type Check, type Values } from "./tolerance.ts";

/** What `transformers_opens.py` answers about a folder that we saved. */
type Answer = { error: string } | { missing: string } | (ModelAnswer & TokenizerAnswer);
interface ModelAnswer {
  keys: Record<string, string[]>;
  shape: number[];
  data: number[];
}
interface TokenizerAnswer {
  encoded: Record<string, number[]>[];
}

/** A folder to be opened there, and what is checked of the answer. */
interface Job {
  file: string;
  job: object;
  check: (answer: ModelAnswer & TokenizerAnswer) => Promise<Check[]>;
}

/** The rule of the models' README, for a result whose own float32 error isn't stored. */
const TOLERANCE = { rtol: 1e-4, atol: 2e-5 };

/**
 * Saved folders go both ways: each model of ours is saved, opened and computed by Python's Transformers, saved by it, and opened here again; tokenizers,
 * adapters (PEFT) and sentence embeddings (sentence-transformers) likewise. Python is `GPUGRAD_PYTHON`, or `python3`; what it lacks isn't covered.
 */
export async function* python(reference: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  const work = mkdtempSync(join(tmpdir(), "parity-python-"));
  try {
    const jobs: Job[] = [];
    for (const folder of list(join(reference, "models"), "folders")) {
      if (!wanted(`python/${folder}`)) continue;
      const source = join(reference, "models", folder);
      const job = await modelJob(source, folder, join(work, folder));
      if (job) jobs.push(job);
      for (const adapter of adaptersIn(source))
        jobs.push(await adapterJob(reference, folder, adapter, join(work, folder)));
    }
    const saved = join(reference, "train/saved-with-tokenizer");
    const tokenizers = list(join(reference, "tokenizers"), "folders").map((name) =>
      join(reference, "tokenizers", name),
    );
    for (const source of [...tokenizers, saved].filter(exists)) {
      const file = source === saved ? "tokenizer" : `tokenizer-${basename(source)}`;
      if (wanted(`python/${file}`)) jobs.push(await tokenizerJob(source, file, join(work, file)));
    }
    if (exists(saved) && wanted("python/sentence-embeddings"))
      jobs.push(await sentenceJob(saved, join(work, "sentences")));
    if (jobs.length === 0) return;

    const answers = await ask(jobs.map(({ job }) => job));
    for (const [i, { file, check }] of jobs.entries()) {
      const place = { group: "python", file, name: "" };
      if (typeof answers === "string") yield { ...place, checks: [], notCovered: answers };
      else {
        const answer = answers[i]!;
        if ("missing" in answer) yield { ...place, checks: [], notCovered: answer.missing };
        else if ("error" in answer) yield { ...place, checks: [mismatch("opening", answer.error)] };
        else yield { ...place, checks: await attempt(() => check(answer)) };
      }
    }
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Saves a model of an architecture that is here; undefined for another. */
async function modelJob(source: string, file: string, work: string): Promise<Job | undefined> {
  const reference = join(source, "reference.json");
  const architecture = exists(reference) ? readJson<{ architecture?: string }>(reference).architecture : undefined;
  const opens = architectures[architecture ?? ""] as unknown as Opens | undefined;
  if (!opens || !exists(join(source, "inputs.json"))) return undefined;
  const { labels: _, ...inputs } = readInputs(join(source, "inputs.json"));
  const compute = async (folder: string): Promise<{ values: Values; reports: string[] }> => {
    const reports: string[] = [];
    const model = (await opens.fromPretrained(folder, { dtype: "f32", onReport: (r) => reports.push(r) })) as Model;
    const values = await scope(() => {
      const out = noGrad(() => model.forward(inputs)) as Partial<Record<string, Tensor>>;
      return valuesOf((out["logits"] ?? out["prediction_logits"] ?? out["start_logits"] ?? out["last_hidden_state"])!);
    });
    if (folder === source) await model.savePretrained(join(work, "ours"));
    model.dispose();
    return { values, reports };
  };
  const { values: want } = await compute(source);
  return {
    file,
    job: { model: join(work, "ours"), class: architecture, inputs, save: join(work, "theirs") },
    async check({ keys, ...got }) {
      const again = await compute(join(work, "theirs"));
      return [
        ...Object.entries(keys).map(([name, list]) => same(name, list, [])),
        compare("computed there", got, want, TOLERANCE),
        same("load report of what they saved", again.reports, []),
        compare("computed from what they saved", again.values, want, { rtol: 0, atol: 0 }),
      ];
    },
  };
}

/** The adapters of a folder: itself (an empty name), or its sub-folders. */
const adaptersIn = (source: string): string[] =>
  ["", ...list(source, "folders")].filter((name) => exists(join(source, name, "adapter_config.json")));

/** Saves an adapter, for PEFT to open on the model that it is for. */
async function adapterJob(reference: string, folder: string, adapter: string, work: string): Promise<Job> {
  const source = join(reference, "models", folder);
  const base = join(reference, "models", readJson<{ base_model: string }>(join(source, "reference.json")).base_model);
  const { labels: _, ...inputs } = readInputs(join(source, "inputs.json"));
  const [ours, theirs] = ["ours", "theirs"].map((name) => join(work, name, adapter)) as [string, string];
  const compute = async (from: string): Promise<Values> => {
    const model = await openBase(base);
    const peft = await PeftModel.fromPretrained(model, await openFolder(from));
    const values = await scope(() => valuesOf(noGrad(() => model.forward(inputs)).logits!));
    if (from !== theirs) await peft.savePretrained(ours);
    model.dispose();
    return values;
  };
  const want = await compute(join(source, adapter));
  const { architectures: [architecture] } = readJson<{ architectures: [string] }>(join(base, "config.json")); // prettier-ignore
  return {
    file: adapter === "" ? folder : `${folder}-${adapter}`,
    job: { model: base, class: architecture, adapter: ours, inputs, save: theirs },
    async check(got) {
      return [
        compare("computed there", got, want, TOLERANCE),
        compare("computed from what they saved", await compute(theirs), want, { rtol: 0, atol: 0 }),
      ];
    },
  };
}

/** Saves a model with what sentence-transformers needs beside it. */
async function sentenceJob(source: string, work: string): Promise<Job> {
  const texts = ["The movie was not so GOOD, and I love it!", "naïve café: 映画 …", "the plot"];
  const [ours, theirs] = [join(work, "ours"), join(work, "theirs")];
  const model = await AutoModel.fromPretrained(source, { dtype: "f32", onReport: () => undefined });
  const tokenizer = await AutoTokenizer.fromPretrained(source);
  await Promise.all([model.savePretrained(ours), tokenizer.savePretrained(ours)]);
  const settings = { modes: ["mean", "max"] as const, dense: [], normalize: true, maxLength: 16, lowerCase: false, prompt: "", includePrompt: true }; // prettier-ignore
  for (const [name, json] of Object.entries(sentenceFiles(settings, sizesOf(model.config).hidden_size!)))
    await writeFileAside(join(ours, name), JSON.stringify(json));
  model.dispose();
  const compute = async (folder: string): Promise<Values> => {
    const opened = await AutoModel.fromPretrained(folder, { dtype: "f32" });
    const own = await AutoTokenizer.fromPretrained(folder);
    const read = await readSentenceSettings(await openFolder(folder), sizesOf(opened.config).hidden_size!);
    const rows = own.encodeBatch(texts, { truncation: true, maxLength: read.maxLength ?? Infinity });
    const arrays = padTokens(rows, own);
    const mask = arrays["attention_mask"]?.data ?? arrays.input_ids.data.map(() => 1);
    const values = await scope(() => valuesOf(noGrad(() => normalizeVectors(poolTokens(opened.forward(arrays).last_hidden_state, mask, read))))); // prettier-ignore
    opened.dispose();
    return values;
  };
  const want = await compute(ours);
  return {
    file: "sentence-embeddings",
    job: { sentences: ours, texts, save: theirs },
    async check(got) {
      return [
        compare("computed there", got, want, TOLERANCE),
        compare("computed from what they saved", await compute(theirs), want, { rtol: 0, atol: 0 }),
      ];
    },
  };
}

async function tokenizerJob(source: string, file: string, work: string): Promise<Job> {
  const texts = [
    "The movie was not so GOOD, and I love it!",
    "naïve café: 映画 …",
    "",
    ["the plot", "but the scene is great."],
  ];
  const max_length = 12;
  const encode = async (folder: string) => {
    const tokenizer = await AutoTokenizer.fromPretrained(folder);
    if (folder === source) await tokenizer.savePretrained(join(work, "ours"));
    return texts.map((text) => {
      const [first, textPair] = typeof text === "string" ? [text, undefined] : (text as [string, string]);
      const { input_ids, token_type_ids, attention_mask } = tokenizer.encode(first, {
        ...{ textPair, truncation: true, padding: "max_length", maxLength: max_length },
      });
      return { input_ids, token_type_ids, attention_mask };
    });
  };
  const want = await encode(source);
  return {
    file,
    job: { tokenizer: join(work, "ours"), texts, max_length, save: join(work, "theirs") },
    async check({ encoded }) {
      const again = await encode(join(work, "theirs"));
      // Some give no token types.
      const known = want.map((row, i) =>
        Object.fromEntries(Object.entries(row).filter(([name]) => name in encoded[i]!)),
      );
      return [same("encoded there", encoded, known), same("encoded by what they saved", again, want)];
    },
  };
}

/** Runs the Python program; a sentence if there is no Python with Transformers. */
function ask(jobs: object[]): Promise<Answer[] | string> {
  const interpreter = process.env["GPUGRAD_PYTHON"] ?? "python3";
  const program = fileURLToPath(new URL("transformers_opens.py", import.meta.url));
  return new Promise((resolve) => {
    const child = execFile(interpreter, [program], { maxBuffer: 2 ** 30 }, (error, stdout, stderr) => {
      if (!error) return resolve(JSON.parse(stdout) as Answer[]);
      const last = stderr.trim().split("\n").at(-1) ?? error.message;
      resolve(`${interpreter} can't run Transformers (GPUGRAD_PYTHON names another): ${last || error.message}`);
    });
    child.stdin?.on("error", () => undefined); // it ended before it read: the callback says why
    child.stdin?.end(JSON.stringify(jobs));
  });
}
