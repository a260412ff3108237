// Ops and models with their gradients, over inputs of sines: run by a page and by Node, whose numbers have to agree.
import * as t from "@gpugrad/tensor";
import "@gpugrad/autograd";
import { BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForMaskedLM } from "@gpugrad/bert";

type Tensor = t.Tensor;

/** Numbers that no kernel can take for others. */
const waves = (shape: number[], phase = 0): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return t.fromArray(
    Float32Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + phase + 0.3)),
    shape,
  );
};
const positive = (shape: number[]): Tensor => t.add(t.square(waves(shape)), 0.5);
const ids = (shape: number[], below: number): Tensor =>
  t.fromArray(
    Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i * 7 + 3) % below),
    shape,
    "i32",
  );

type Case = { inputs: Tensor[]; work: (...inputs: Tensor[]) => Tensor };
const unary = (work: (x: Tensor) => Tensor, inputs = [waves([5, 37])]): Case => ({ inputs, work });
const binary = (work: (a: Tensor, b: Tensor) => Tensor): Case => ({ inputs: [waves([5, 37]), waves([37], 1)], work });
const wide = (): Tensor[] => [waves([2, 3, 33, 16]), waves([2, 3, 33, 16], 1), waves([2, 3, 33, 16], 2)];

const OPS: Record<string, () => Case> = {
  add: () => binary(t.add),
  sub: () => binary(t.sub),
  mul: () => binary(t.mul),
  div: () => ({ inputs: [waves([5, 37]), positive([37])], work: t.div }),
  maximum: () => binary(t.maximum),
  exp: () => unary(t.exp),
  log: () => unary(t.log, [positive([5, 37])]),
  tanh: () => unary(t.tanh),
  sigmoid: () => unary(t.sigmoid),
  gelu: () => unary((x) => t.gelu(x)),
  silu: () => unary(t.silu),
  rsqrt: () => unary(t.rsqrt, [positive([5, 37])]),
  softmax: () => unary((x) => t.softmax(x)),
  logSoftmax: () => unary((x) => t.logSoftmax(x)),
  sum: () => unary((x) => t.sum(x, { dim: 1 })),
  mean: () => unary((x) => t.mean(x, { dim: 0 })),
  amax: () => unary((x) => t.amax(x, { dim: 1 })),
  cumsum: () => unary((x) => t.cumsum(x, { dim: 1 })),
  transpose: () => unary((x) => t.transpose(x, 0, 1)),
  slice: () =>
    unary((x) =>
      t.slice(x, [
        [0, null],
        [3, 30],
      ]),
    ),
  concat: () => ({ inputs: [waves([5, 37]), waves([5, 11], 1)], work: (a, b) => t.concat([a, b], { dim: 1 }) }),
  matmul: () => ({ inputs: [waves([33, 65]), waves([65, 17], 1)], work: (a, b) => t.matmul(a, b) }),
  batched: () => ({ inputs: [waves([3, 20, 40]), waves([3, 40, 12], 1)], work: (a, b) => t.matmul(a, b) }),
  linear: () => ({
    inputs: [waves([4, 20, 32]), waves([48, 32], 1), waves([48], 2)],
    work: (x, w, b) => t.linear(x, w, b),
  }),
  linearGelu: () => ({
    inputs: [waves([4, 20, 32]), waves([48, 32], 1), waves([48], 2)],
    work: (x, w, b) => t.linearGelu(x, w, b),
  }),
  layerNorm: () => ({
    inputs: [waves([6, 40]), waves([40], 1), waves([40], 2)],
    work: (x, w, b) => t.layerNorm(x, w, b),
  }),
  rmsNorm: () => ({ inputs: [waves([6, 40]), waves([40], 1)], work: (x, w) => t.rmsNorm(x, w) }),
  attention: () => ({ inputs: wide(), work: (q, k, v) => t.scaledDotProductAttention(q, k, v) }),
  embedding: () => ({ inputs: [waves([19, 24])], work: (w) => t.embedding(w, ids([3, 8], 19)) }),
  crossEntropy: () => ({ inputs: [waves([7, 23])], work: (x) => t.crossEntropy(x, ids([7], 23)) }),
};

/** The result of an op, then the gradient of its sum of squares for each input. */
async function runOp(make: () => Case): Promise<number[]> {
  const { inputs, work } = make();
  for (const input of inputs) input.requiresGrad = true;
  const y = work(...inputs);
  t.sum(t.square(y)).backward();
  const all = await Promise.all([y, ...inputs.map(({ grad }) => grad!)].map((tensor) => tensor.data()));
  return all.flatMap((values) => Array.from(values, Number));
}

const SIZES = {
  ...{ vocab_size: 29, hidden_size: 24, num_hidden_layers: 2, num_attention_heads: 3, intermediate_size: 40 },
  ...{ max_position_embeddings: 20, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
};
const MODELS = {
  "bert that classifies": () => ({
    model: BertForSequenceClassification.fromConfig(new BertConfig({ ...SIZES, num_labels: 3 })),
    labels: ids([4], 3),
  }),
  "roberta that guesses words": () => ({
    model: RobertaForMaskedLM.fromConfig(new RobertaConfig({ ...SIZES, pad_token_id: 1 })),
    labels: ids([4, 11], 29),
  }),
};

/** The loss of a model whose weights are waves, and the sum and the norm of each parameter's gradient. */
async function runModel(make: (typeof MODELS)[keyof typeof MODELS]): Promise<number[]> {
  const { model, labels } = make();
  model.parameters().forEach((parameter, i) => {
    parameter.write(Float32Array.from({ length: parameter.size }, (_, k) => 0.2 * Math.sin(1.7 * k + i)));
  });
  const { loss } = model.forward({ input_ids: ids([4, 11], 29), labels });
  loss!.backward();
  const numbers = [loss!, ...model.parameters().flatMap(({ grad }) => (grad ? [t.sum(grad), t.norm(grad)] : []))];
  return Promise.all(numbers.map((number) => number.item()));
}

/** All numbers, by the names of their cases. */
export async function runCases(): Promise<Record<string, number[]>> {
  await t.init();
  const found: Record<string, number[]> = {};
  for (const [name, make] of Object.entries(OPS)) found[name] = await runOp(make);
  for (const [name, make] of Object.entries(MODELS)) found[name] = await runModel(make);
  return found;
}

/** For a page: writes them into it as JSON. */
export function mount(root: HTMLElement): void {
  runCases().then(
    (found) => (root.textContent = JSON.stringify(found)),
    (error: unknown) => (root.textContent = String(error)),
  );
}
