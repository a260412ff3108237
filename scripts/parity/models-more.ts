import "@gpugrad/autograd";
import { filterLogits, type FilterOptions } from "@gpugrad/nn";
import { argmax, scope, softmax, stack, tensor, type Tensor } from "@gpugrad/tensor";
import {
  draw,
  generate,
  nextTokenLoss,
  type Choose,
  type Decoder,
  type DecoderInputs,
} from "../../examples/decoders/decoder.ts";
import { openDecoder } from "../../examples/decoders/open.ts";
import { compareAll } from "./any-model.ts";
import { join, list, readJson, valuesOf, withTensors } from "./files.ts";
import { attempt, idOf, type Result } from "./report.ts";
import { compare, same, type Check, type Tolerance, type Values } from "./tolerance.ts";

interface Sampling {
  name: string;
  settings: Record<string, number>;
  prompt: number[];
  uniforms: number[];
  tokens: number[];
  kept: number[];
  probability_atol: number;
}

interface Generation {
  prompts: { input_ids: number[][]; attention_mask: number[][] };
  greedy: { max_new_tokens: number; tokens: number[][]; logits_atol: number };
  greedy_with_eos: { eos_token_id: number; pad_token_id: number; tokens: number[][] };
  sampling: { cases: Sampling[] };
}

/** Decoders: logits, gradients, generating and sampling. `wanted` is asked with a case's id. */
export async function* modelsMore(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  for (const file of list(dir, "folders")) {
    const folder = join(dir, file);
    const { greedy, greedy_with_eos, prompts, sampling } = readJson<Generation>(join(folder, "generation.json"));
    const cases: Record<string, (model: Decoder) => Promise<Check[]>> = {
      forward: (model) => forward(model, folder),
      greedy: (model) => withGreedyLogits(model, folder, prompts, greedy),
      async greedy_with_eos(model) {
        const { eos_token_id: eos, pad_token_id: pad, tokens } = greedy_with_eos;
        return [same("tokens", await generate(model, prompts, { most: greedy.max_new_tokens, eos, pad }), tokens)];
      },
      ...Object.fromEntries(
        sampling.cases.map((c) => [`sampling-${c.name}`, (model: Decoder) => sample(model, folder, c)]),
      ),
    };
    for (const [name, run] of Object.entries(cases)) {
      const result = { group: "models-more", file, name };
      if (!wanted(idOf(result))) continue;
      yield {
        ...result,
        checks: await attempt(async () => {
          const model = await openDecoder(folder);
          try {
            return await run(model);
          } finally {
            model.dispose();
          }
        }),
      };
    }
  }
}

/** All that a forward gives, and the gradients of the loss. */
function forward(model: Decoder, folder: string): Promise<Check[]> {
  const { labels, ...inputs } = readJson<DecoderInputs & { labels: number[][] }>(join(folder, "inputs.json"));
  const { tensors } = readJson<{ tensors: Record<string, Tolerance> }>(join(folder, "reference.json"));
  return withTensors(join(folder, "reference.safetensors"), async (golden) => {
    const got = new Map<string, Values>();
    await scope(async () => {
      const { logits, hidden_states, attentions } = model.forward(inputs, { attentions: true });
      const loss = nextTokenLoss(model.forward(inputs).logits, labels);
      loss.backward();
      got.set("logits", await valuesOf(logits));
      got.set("loss", await valuesOf(loss));
      for (const [i, x] of hidden_states.entries()) got.set(`hidden_states.${i}`, await valuesOf(x));
      for (const [i, x] of attentions.entries()) got.set(`attentions.${i}`, await valuesOf(x));
    });
    for (const [name, { grad }] of model.namedParameters()) if (grad) got.set(`grad.${name}`, await valuesOf(grad));
    return compareAll(got, tensors, golden);
  });
}

function withGreedyLogits(
  model: Decoder,
  folder: string,
  prompts: Generation["prompts"],
  { max_new_tokens: most, tokens, logits_atol: atol }: Generation["greedy"],
): Promise<Check[]> {
  return withTensors(join(folder, "generation.safetensors"), async (golden) => {
    const seen: Values[] = [];
    const choose: Choose = async (logits) => {
      seen.push(await valuesOf(logits));
      return Array.from(await argmax(logits, { dim: -1 }).data());
    };
    const got = await generate(model, prompts, { most, choose });
    const [rows, vocabulary] = seen[0]!.shape as [number, number];
    const all = stack(
      seen.map(({ data, shape }) => tensorOf(data, shape)),
      { dim: 1 },
    ); // [row, step, vocabulary]
    const want = (await golden("greedy.logits"))!;
    const logits = { data: await all.data(), shape: [rows, most, vocabulary] };
    return [same("tokens", got, tokens), compare("logits", logits, want, { rtol: 1e-4, atol })];
  });
}

const tensorOf = (data: ArrayLike<number>, shape: readonly number[]): Tensor => tensor(Array.from(data)).reshape(shape);

/** Sampling with given numbers in place of a generator's. */
function sample(model: Decoder, folder: string, c: Sampling): Promise<Check[]> {
  const { repetition_penalty, temperature, top_k, top_p, min_p } = c.settings;
  const options: FilterOptions = {
    repetitionPenalty: repetition_penalty,
    temperature,
    topK: top_k,
    topP: top_p,
    minP: min_p,
  };
  return withTensors(join(folder, "generation.safetensors"), async (golden) => {
    const [logits, probabilities]: [number[][], number[][]] = [[], []];
    const choose: Choose = async (given, rows) => {
      const ids = repetition_penalty === undefined ? undefined : tensor(rows, "i32");
      const share = await softmax(filterLogits(given, { ...options, ids })).data();
      logits.push(Array.from(await given.data()));
      probabilities.push(Array.from(share));
      return [draw(share, c.uniforms[logits.length - 1]!)];
    };
    const [got] = await generate(model, { input_ids: [c.prompt] }, { most: c.uniforms.length, choose });
    const values = (list: number[][]): Values => ({ data: list.flat(), shape: [list.length, list[0]!.length] });
    const kept = probabilities.map((row) => row.filter((p) => p > 0).length);
    const want = async (name: string): Promise<Values> => (await golden(`${c.name}.${name}`))!;
    return [
      same("tokens", got, c.tokens),
      same("kept", kept, c.kept),
      compare("logits", values(logits), await want("logits"), { rtol: 1e-4, atol: 5e-5 }),
      compare("probabilities", values(probabilities), await want("probabilities"), {
        rtol: 1e-4,
        atol: c.probability_atol,
      }),
    ];
  });
}
