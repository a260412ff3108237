import { homedir } from "node:os";
import { noGrad } from "@gpugrad/autograd";
import { AutoModel, AutoTokenizer } from "@gpugrad/bert";
import { fromArray, matmul, reshape, scope } from "@gpugrad/tensor";
import { exists, join, readJson, valuesOf, withTensors } from "./files.ts";
import { attempt, type Result } from "./report.ts";
import { compare, same, type Check, type Values } from "./tolerance.ts";

interface Embeddings {
  float32_against_float64: { last_hidden_state_max_abs: number; sentence_embeddings_max_abs: number };
  padded_length: number;
  most_similar: number[];
  cases: { text: string | [string, string]; input_ids: number[]; token_type_ids: number[]; attention_mask: number[] }[];
}

const MODEL = "sentence-transformers/all-MiniLM-L6-v2";

/** Where the weights of the local Hub lie: beside the reference, or in the cache. */
function weightsFolder(dir: string): string | undefined {
  const roots = [process.env["HUB_ROOT"], join(dir, "../../hub/repos"), join(homedir(), ".cache/gpugrad-hub/repos")];
  return roots
    .map((root) => join(root ?? "", "models", MODEL))
    .find((folder) => exists(join(folder, "model.safetensors")));
}

/** A real model on real text: tokens, hidden states, sentence embeddings. Its fine-tuning takes minutes: `pnpm train:imdb` is to run it. */
export async function* minilm(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  const files: [file: string, run: ((folder: string) => Promise<Check[]>) | string][] = [
    ["embeddings", (folder) => embeddings(dir, folder)],
    ["finetune", "131 training steps: pnpm train:imdb follows them, with --loss_trace"],
  ];
  for (const [file, run] of files) {
    if (!exists(join(dir, `${file}.json`)) || !wanted(`minilm/${file}`)) continue;
    const told = { group: "minilm", file, name: "" };
    const folder = weightsFolder(dir);
    if (typeof run === "string") yield { ...told, checks: [], notCovered: run };
    else if (!folder)
      yield {
        ...told,
        checks: [],
        notCovered: `the weights of ${MODEL} are not there: run hub/setup.sh beside the reference`,
      };
    else yield { ...told, checks: await attempt(() => run(folder)) };
  }
}

async function embeddings(dir: string, folder: string): Promise<Check[]> {
  const { cases, padded_length: T, most_similar, ...file } = readJson<Embeddings>(join(dir, "embeddings.json"));
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  const checks = cases.map(({ text, input_ids, token_type_ids }) => {
    const [first, textPair] = typeof text === "string" ? [text, undefined] : text;
    const got = tokenizer.encode(first, { textPair });
    const tokens = { input_ids: got.input_ids, token_type_ids: got.token_type_ids };
    return same(`tokens of ${JSON.stringify(text)}`, tokens, { input_ids, token_type_ids });
  });

  const B = cases.length;
  const column = (key: "input_ids" | "token_type_ids" | "attention_mask") => {
    const data = new Int32Array(B * T);
    for (const [i, c] of cases.entries()) data.set(c[key].slice(0, T), i * T);
    return { data, shape: [B, T] };
  };
  const [input_ids, token_type_ids, attention_mask] = [
    column("input_ids"),
    column("token_type_ids"),
    column("attention_mask"),
  ];
  const model = await AutoModel.fromPretrained(folder, { onReport: () => undefined });
  const { states, sums } = await scope(async () => {
    const { last_hidden_state: x } = noGrad(() => model.forward({ input_ids, token_type_ids, attention_mask }));
    const mask = fromArray(Float32Array.from(attention_mask.data), [B, 1, T]);
    return { states: await valuesOf(x), sums: await reshape(matmul(mask, x), [B, -1]).data() }; // Σ_t mask_t x_t
  });
  model.dispose();

  const C = states.shape[2]!;
  const unit = new Float64Array(B * C); // the mean's length is 1 afterwards, so the sum will do
  for (let i = 0; i < B; i++) {
    const row = sums.subarray(i * C, (i + 1) * C);
    const length = Math.hypot(...row);
    row.forEach((v, c) => (unit[i * C + c] = v / length));
  }
  const cosines = new Float64Array(B * B);
  for (let i = 0; i < B; i++) {
    for (let j = 0; j < B; j++) for (let c = 0; c < C; c++) cosines[i * B + j]! += unit[i * C + c]! * unit[j * C + c]!;
  }
  const nearest = cases.map((_, i) => {
    const others = cases.map((_other, j) => j).filter((j) => j !== i);
    return others.reduce((best, j) => (cosines[i * B + j]! > cosines[i * B + best]! ? j : best));
  });
  checks.push(same("most_similar", nearest, most_similar));

  // The rule of the models' README, with the file's own float32 errors; cosines add up two embeddings' errors.
  const errors = file.float32_against_float64;
  const rule = (error: number) => ({ rtol: 1e-4, atol: Math.max(8 * error, 1e-7) });
  await withTensors(join(dir, "embeddings.safetensors"), async (golden) => {
    const hidden = (await golden("last_hidden_state"))!;
    checks.push(
      compare("last_hidden_state", crop(states, hidden.shape), hidden, rule(errors.last_hidden_state_max_abs)),
    );
    const sentence = rule(errors.sentence_embeddings_max_abs);
    const want = (await golden("sentence_embeddings"))!;
    checks.push(compare("sentence_embeddings", { data: unit, shape: [B, C] }, want, sentence));
    checks.push(
      compare("cosine_similarity", { data: cosines, shape: [B, B] }, (await golden("cosine_similarity"))!, sentence),
    );
  });
  return checks;
}

/** The first b rows and t positions of [B, T, C]. */
function crop({ data, shape }: Values, [b = 0, t = 0, c = 0]: readonly number[]): Values {
  const cut: number[] = [];
  for (let i = 0; i < b; i++) for (let j = 0; j < t * c; j++) cut.push(data[i * shape[1]! * shape[2]! + j]!);
  return { data: cut, shape: [b, t, c] };
}
