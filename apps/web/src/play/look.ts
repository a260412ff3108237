import { noGrad } from "@gpugrad/autograd";
import { Module, type Tokenizer } from "@gpugrad/bert";
import { fromArray, mean, mul, scope, sum, type Tensor } from "@gpugrad/tensor";
import { padTokens, type TrainableModel } from "@gpugrad/train";
import type { Look, Neighbour } from "./events.ts";

/** Points on the way from nothing to the sentence. */
const POINTS = 16;

/** Vectors for tokens, in place of an embedding's own: where gradients are to arrive. */
class Given extends Module {
  readonly #vectors: Tensor;

  constructor(vectors: Tensor) {
    super();
    this.#vectors = vectors;
  }

  forward(): Tensor {
    return this.#vectors;
  }
}

/** Where a model has the embeddings of its words, and these. */
export function wordEmbeddings(model: TrainableModel): { path: string; module: Module; weight: Tensor } {
  const { vocab_size } = model.config as unknown as { vocab_size: number };
  for (const [path, module] of model.namedModules()) {
    const { weight } = module as unknown as { weight?: Tensor };
    if (weight?.rank === 2 && weight.shape[0] === vocab_size) return { path, module, weight };
  }
  throw new Error("The model has no embeddings of words.");
}

/** Runs work on a model that neither drops nor asks for gradients of its parameters; then it is as it was. */
function asItIs<T>(model: TrainableModel, work: () => T): T {
  const { training } = model;
  const wanted = model.parameters().filter((parameter) => parameter.requiresGrad);
  for (const parameter of wanted) parameter.requiresGrad = false;
  model.eval();
  try {
    return work();
  } finally {
    model.train(training);
    for (const parameter of wanted) parameter.requiresGrad = true;
  }
}

const isRegression = (model: TrainableModel): boolean => model.config.num_labels === 1;

/**
 * What a model makes of a sentence: scores, attention, and how much each token speaks for a class, by integrated gradients: the gradient of the
 * class' margin over the mean of the others, at points on the straight way from a text whose words are nothing to this one, times the way.
 * All work is sent to the device before the first value is awaited, so an update that follows changes nothing.
 * @see https://arxiv.org/abs/1703.01365
 */
export async function look(
  model: TrainableModel,
  tokenizer: Tokenizer,
  sentence: string,
  { step = 0, maxLength, target }: { step?: number; maxLength: number; target?: number },
): Promise<Look> {
  const encoding = tokenizer.encode(sentence, { truncation: true, maxLength });
  const { special_tokens_mask: special } = encoding;
  const ids = Int32Array.from(encoding.input_ids);
  const T = ids.length;
  const K = model.config.num_labels;
  const aim = target ?? (K === 2 ? 1 : 0);
  const read = scope(() =>
    asItIs(model, () => {
      const once = noGrad(() =>
        model.forward({ input_ids: { data: ids, shape: [1, T], dtype: "i32" } }, { outputAttentions: true }),
      ) as { logits: Tensor; attentions: Tensor[] };
      const attributions = attribution(model, ids, special, aim);
      return {
        logits: once.logits.data(),
        attributions: attributions.data(),
        heads: once.attentions[0]?.shape[1] ?? 0,
        attentions: once.attentions.map((tensor) => tensor.data()),
      };
    }),
  );
  const [logits, attributions, attentions] = await Promise.all([
    read.logits,
    read.attributions,
    Promise.all(read.attentions),
  ]);
  const all = new Float32Array(attentions.reduce((size, { length }) => size + length, 0));
  attentions.reduce((at, values) => (all.set(values as Float32Array, at), at + values.length), 0);
  const letters = [...sentence];
  const tokens = encoding.offsets.map(([start, end], i) =>
    special[i] ? (tokenizer.idToToken(ids[i]!) ?? "") : letters.slice(start, end).join(""),
  );
  const scores = isRegression(model) ? [Number(logits[0])] : softmax(Array.from(logits, Number));
  return {
    ...{ step, tokens, scores, target: aim, attributions: Array.from(attributions, Number) },
    ...{ attentions: all, layers: attentions.length, heads: read.heads },
  };
}

/** Integrated gradients of each token, [T]. */
function attribution(model: TrainableModel, ids: Int32Array, special: ArrayLike<number>, target: number): Tensor {
  const { path, module, weight } = wordEmbeddings(model);
  const [T, C, K] = [ids.length, weight.shape[1]!, model.config.num_labels];
  // Special tokens stay what they are: the way begins at a text of them alone.
  const shares = Float32Array.from({ length: POINTS * T }, (_, i) =>
    special[i % T] ? 1 : (Math.floor(i / T) + 0.5) / POINTS,
  );
  const own = Float32Array.from({ length: T }, (_, t) => (special[t] ? 0 : 1));
  const { words, vectors } = noGrad(() => {
    const words = (module as Module & { forward(ids: Tensor): Tensor }).forward(fromArray(ids, [1, T], "i32"));
    return { words, vectors: mul(words, fromArray(shares, [POINTS, T, 1])) }; // [1, T, C], [POINTS, T, C]
  });
  vectors.requiresGrad = true;
  model.replace(path, new Given(vectors));
  try {
    const repeated = Int32Array.from({ length: POINTS * T }, (_, i) => ids[i % T]!);
    const inputs = { input_ids: { data: repeated, shape: [POINTS, T], dtype: "i32" } } as const;
    const { logits } = model.forward(inputs) as { logits: Tensor };
    const direction = Float32Array.from({ length: K }, (_, k) => (k === target ? 1 : -1 / (K - 1)));
    sum(mul(logits, fromArray(direction, [1, K]))).backward();
  } finally {
    model.replace(path, module);
  }
  return noGrad(() => {
    const slope = mean(vectors.grad!, { dim: 0 }); // [T, C]
    return mul(sum(mul(slope, words.reshape([T, C])), { dim: 1 }), fromArray(own, [T]));
  });
}

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const exps = logits.map((logit) => Math.exp(logit - largest));
  const total = exps.reduce((a, b) => a + b);
  return exps.map((exp) => exp / total);
}

/** The rows whose vectors lie nearest to the sentence's, by cosine: the first token's vector in the last layer. */
export async function nearest(
  model: TrainableModel,
  tokenizer: Tokenizer,
  sentence: string,
  rows: readonly { text: string; label: string }[],
  { maxLength, count = 5 }: { maxLength: number; count?: number },
): Promise<Neighbour[]> {
  const vectors: Float32Array[] = [];
  const texts = [sentence, ...rows.map(({ text }) => text)];
  for (let at = 0; at < texts.length; at += 64) {
    const encoded = texts.slice(at, at + 64).map((text) => tokenizer.encode(text, { truncation: true, maxLength }));
    const arrays = padTokens(encoded, tokenizer);
    const values = await scope(() =>
      asItIs(model, () =>
        noGrad(() => {
          const { hidden_states } = model.forward(arrays, { outputHiddenStates: true }) as { hidden_states: Tensor[] };
          return hidden_states.at(-1)!.select(1, 0).data(); // [B, C]
        }),
      ),
    );
    const width = values.length / encoded.length;
    for (let b = 0; b < encoded.length; b++) vectors.push((values as Float32Array).slice(b * width, (b + 1) * width));
  }
  const [own, ...others] = vectors;
  return others
    .map((vector, i) => ({ ...rows[i]!, similarity: cosine(own!, vector) }))
    .filter(({ text }) => text !== sentence)
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, count);
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb || 1);
}
