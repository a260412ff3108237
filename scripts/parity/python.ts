import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { noGrad } from "@gpugrad/autograd";
import { architectures, AutoTokenizer } from "@gpugrad/bert";
import { scope, type Tensor } from "@gpugrad/tensor";
import { exists, join, list, readJson, valuesOf } from "./files.ts";
import { readInputs, type Model, type Opens } from "./any-model.ts";
import { attempt, type Result } from "./report.ts";
import { compare, mismatch, same, type Check, type Values } from "./tolerance.ts";

/** What `transformers_opens.py` answers about a folder that we saved. */
type Answer = { error: string } | (ModelAnswer & TokenizerAnswer & { error: undefined });
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
 * Saved folders go both ways: each model of ours is saved, opened and computed by Python's Transformers, saved by it, and opened
 * here again; tokenizers likewise. Python is `GPUGRAD_PYTHON`, or `python3`; without Transformers there, nothing is covered.
 */
export async function* python(reference: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  const work = mkdtempSync(join(tmpdir(), "parity-python-"));
  try {
    const jobs: Job[] = [];
    for (const folder of list(join(reference, "models"), "folders")) {
      if (!wanted(`python/${folder}`)) continue;
      const job = await modelJob(join(reference, "models", folder), folder, join(work, folder));
      if (job) jobs.push(job);
    }
    const saved = join(reference, "train/saved-with-tokenizer");
    if (exists(saved) && wanted("python/tokenizer")) jobs.push(await tokenizerJob(saved, join(work, "tokenizer")));
    if (jobs.length === 0) return;

    const answers = await ask(jobs.map(({ job }) => job));
    for (const [i, { file, check }] of jobs.entries()) {
      const told = { group: "python", file, name: "" };
      if (typeof answers === "string") yield { ...told, checks: [], notCovered: answers };
      else {
        const answer = answers[i]!;
        const checks =
          answer.error === undefined ? await attempt(() => check(answer)) : [mismatch("opening", answer.error)];
        yield { ...told, checks };
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

async function tokenizerJob(source: string, work: string): Promise<Job> {
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
    file: "tokenizer",
    job: { tokenizer: join(work, "ours"), texts, max_length, save: join(work, "theirs") },
    async check({ encoded }) {
      const again = await encode(join(work, "theirs"));
      return [same("encoded there", encoded, want), same("encoded by what they saved", again, want)];
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
