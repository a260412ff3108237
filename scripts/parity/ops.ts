import "@gpugrad/autograd";
import * as g from "@gpugrad/tensor";
import { join, list, readJson, toTensor, valuesOf, withTensors, type Golden } from "./files.ts";
import { integerFiles } from "./integers.ts";
import { attempt, type Result } from "./report.ts";
import { compare, widened, type Check, type Tolerance } from "./tolerance.ts";

/** A case as its file says it. */
interface Case extends Tolerance {
  name: string;
  attrs: Attributes;
  inputs: string[];
  outputs: string[];
  grad_outputs: string[];
  grads: string[];
  tolerance: Record<string, Tolerance>;
  special: boolean;
}

/** An op's attributes, in PyTorch's meaning. */
interface Attributes {
  [name: string]: unknown;
}

type Inputs = Record<string, g.Tensor>;

/** Calls an op as its file means it: outputs by name, or `y` alone. */
type Call = (t: Inputs, attrs: Attributes) => Outputs | Promise<Outputs>;
type Outputs = g.Tensor | Record<string, g.Tensor | undefined>;

const unary =
  (op: (x: g.Tensor) => g.Tensor): Call =>
  (t) =>
    op(t["x"]!);
const binary =
  (op: (a: g.Tensor, b: g.Tensor) => g.Tensor): Call =>
  (t) =>
    op(t["a"]!, t["b"]!);

/** Options without those that are null or missing: there, null stands for the default. */
function given<T extends Record<string, unknown>>(options: T): { [K in keyof T]: never } {
  const entries = Object.entries(options).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: never };
}

const reduction =
  (op: (x: g.Tensor, options: g.ReduceOptions) => g.Tensor): Call =>
  (t, { dim, keepdim }) =>
    op(t["x"]!, given({ dim, keepdim }));

const pairLoss =
  (op: (x: g.Tensor, target: g.Tensor, options: object) => g.Tensor): Call =>
  (t, { reduction, beta }) =>
    op(t["x"]!, t["target"]!, given({ reduction, beta }));

const extreme =
  (op: typeof g.max): Call =>
  (t, { dim, keepdim }) => {
    if (dim === null) return op(t["x"]!);
    const { values, indices } = op(t["x"]!, given({ dim, keepdim }));
    return { y: values, indices };
  };

const operands = ({ a, b, c }: Inputs): g.Tensor[] => [a, b, c].filter((x) => x !== undefined);

const calls: Record<string, Call> = {
  add: binary(g.add),
  sub: binary(g.sub),
  mul: binary(g.mul),
  div: binary(g.div),
  pow: (t, { exponent }) => g.pow(t["a"]!, t["b"] ?? (exponent as number)),
  maximum: binary(g.maximum),
  minimum: binary(g.minimum),
  ...Object.fromEntries(
    Object.entries({
      ...{ neg: g.neg, exp: g.exp, log: g.log, sqrt: g.sqrt, rsqrt: g.rsqrt, tanh: g.tanh, sigmoid: g.sigmoid },
      ...{ relu: g.relu, erf: g.erf, silu: g.silu, abs: g.abs, sin: g.sin, cos: g.cos, square: g.square },
      ...{ reciprocal: g.reciprocal },
    }).map(([name, op]) => [name, unary(op)]),
  ),
  gelu: unary((x) => g.gelu(x)),
  gelu_tanh: unary((x) => g.gelu(x, { approximate: "tanh" })),
  clamp: (t, { min, max }) => g.clamp(t["x"]!, given({ min, max })),
  where: (t) => g.where(t["condition"]!, t["a"]!, t["b"]!),
  masked_fill: (t, { value }) => g.maskedFill(t["x"]!, t["mask"]!, value as number),

  sum: reduction(g.sum),
  mean: reduction(g.mean),
  prod: reduction(g.prod),
  logsumexp: reduction(g.logsumexp),
  amax: reduction(g.amax),
  amin: reduction(g.amin),
  var_correction0: (t, { dim, keepdim }) => g.variance(t["x"]!, { ...given({ dim, keepdim }), correction: 0 }),
  var_correction1: (t, { dim, keepdim }) => g.variance(t["x"]!, { ...given({ dim, keepdim }), correction: 1 }),
  argmax: (t, { dim, keepdim }) => g.argmax(t["x"]!, given({ dim, keepdim })),
  argmin: (t, { dim, keepdim }) => g.argmin(t["x"]!, given({ dim, keepdim })),
  max: extreme(g.max),
  min: extreme(g.min),
  cumsum: (t, { dim }) => g.cumsum(t["x"]!, given({ dim })),

  matmul: (t, { transposeA, transposeB }) => g.matmul(t["a"]!, t["b"]!, given({ transposeA, transposeB })),
  linear: (t) => g.linear(t["x"]!, t["weight"]!, t["bias"]),
  linear_gelu: (t, { approximate }) => g.linearGelu(t["x"]!, t["weight"]!, t["bias"], given({ approximate })),

  softmax: (t, { dim }) => g.softmax(t["x"]!, given({ dim })),
  log_softmax: (t, { dim }) => g.logSoftmax(t["x"]!, given({ dim })),
  layer_norm: (t, { eps, normalized_shape }) =>
    g.layerNorm(t["x"]!, t["weight"], t["bias"], given({ eps, normalizedShape: normalized_shape })),
  add_layer_norm: (t, { eps }) => g.addLayerNorm(t["x"]!, t["residual"]!, t["weight"]!, t["bias"]!, given({ eps })),
  rms_norm: (t, { eps }) => g.rmsNorm(t["x"]!, t["weight"], given({ eps })),
  scaled_dot_product_attention: attention,

  embedding: (t, { padding_idx }) => g.embedding(t["weight"]!, t["ids"]!, given({ paddingIdx: padding_idx })),
  bert_embeddings: (t, { padding_idx }) =>
    g.bertEmbeddings(
      t["word"]!,
      t["position"]!,
      t["token_type"]!,
      t["ids"]!,
      t["types"]!,
      given({ paddingIdx: padding_idx }),
    ),
  gather: (t, { dim }) => g.gather(t["x"]!, dim as number, t["index"]!),
  scatter_add: (t, { dim }) => g.scatterAdd(t["x"]!, dim as number, t["index"]!, t["src"]!),
  index_select: (t, { dim }) => g.indexSelect(t["x"]!, dim as number, t["index"]!),
  take_along_dim: (t, { dim }) => g.takeAlongDim(t["x"]!, t["index"]!, dim as number | null),
  one_hot: async (t, { num_classes }) =>
    g.oneHot(t["x"]!, { numClasses: (num_classes as number | null) ?? Math.max(...(await t["x"]!.data())) + 1 }),

  permute: (t, { dims }) => g.permute(t["x"]!, dims as number[]),
  reshape: (t, { shape, transpose_first }) =>
    g.reshape(transpose_first ? g.transpose(t["x"]!, 0, 1) : t["x"]!, shape as number[]),
  slice: (t, { slices }) => g.slice(t["x"]!, slices as g.Slice[]),
  concat: (t, { dim }) => g.concat(operands(t), given({ dim })),
  stack: (t, { dim }) => g.stack(operands(t), given({ dim })),
  split: (t, { sizes, dim }) =>
    Object.fromEntries(g.split(t["x"]!, sizes as number | number[], given({ dim })).map((y, i) => [`y${i}`, y])),
  pad: (t, { pad, value }) => g.pad(t["x"]!, pad as number[], given({ value })),
  expand: (t, { shape }) => g.expand(t["x"]!, shape as number[]),
  repeat: (t, { repeats }) => g.repeat(t["x"]!, repeats as number[]),
  flip: (t, { dims }) => g.flip(t["x"]!, dims as number[]),
  tril: (t, { diagonal }) => g.tril(t["x"]!, given({ diagonal })),
  triu: (t, { diagonal }) => g.triu(t["x"]!, given({ diagonal })),

  cross_entropy: (t, { reduction, label_smoothing, ignore_index }) =>
    g.crossEntropy(t["x"]!, t["target"]!, {
      ...given({ reduction, labelSmoothing: label_smoothing, ignoreIndex: ignore_index }),
      weight: t["weight"],
    }),
  bce_with_logits: (t, { reduction }) =>
    g.bceWithLogits(t["x"]!, t["target"]!, {
      ...given({ reduction }),
      weight: t["weight"],
      posWeight: t["pos_weight"],
    }),
  mse_loss: pairLoss(g.mseLoss),
  l1_loss: pairLoss(g.l1Loss),
  smooth_l1_loss: pairLoss(g.smoothL1Loss),
  kl_div: (t, { reduction, log_target }) => g.klDiv(t["x"]!, t["target"]!, given({ reduction, logTarget: log_target })),
  cosine_similarity: (t, { dim, eps }) => g.cosineSimilarity(t["a"]!, t["b"]!, given({ dim, eps })),
  cosine_embedding_loss: (t, { margin, reduction }) =>
    g.cosineEmbeddingLoss(t["a"]!, t["b"]!, t["target"]!, given({ margin, reduction })),
  distillation_loss: (t, { temperature }) => g.distillationLoss(t["x"]!, t["teacher"]!, given({ temperature })),
  dropout: (t, { p, training }) => g.dropout(t["x"]!, given({ p, training, mask: t["mask"] })),
};

/** The fused op, or with `eager` the formula written out: they differ in rows that see nothing. */
function attention(t: Inputs, { scale, is_causal, eager }: Attributes): Record<string, g.Tensor> {
  const [q, k, v, mask] = [t["q"]!, t["k"]!, t["v"]!, t["mask"]];
  if (eager !== true) {
    const [y, lse] = g.scaledDotProductAttentionWithLse(q, k, v, given({ scale, isCausal: is_causal, mask }));
    return { y, lse };
  }
  const scores = g.mul(g.matmul(q, k, { transposeB: true }), (scale as number | null) ?? q.shape.at(-1)! ** -0.5);
  const masked = mask ? g.add(scores, mask) : scores;
  return { y: g.matmul(g.softmax(masked), v), lse: g.logsumexp(masked, { dim: -1 }) };
}

/** Runs the cases of every op in `dir`, forward and backward. `wanted` is asked with a case's id. */
export async function* ops(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  for (const file of list(dir, "json")) if (file !== "index") yield* casesOf(dir, file, wanted);
}

/** Runs the cases of one file. */
export async function* casesOf(dir: string, file: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  const { cases, op = file } = readJson<{ cases?: Case[]; op?: string }>(join(dir, `${file}.json`));
  const run = integerFiles[op];
  const tensors = join(dir, `${file}.safetensors`);
  for (const c of cases ?? []) {
    if (!wanted(`ops/${file}/${c.name}`)) continue;
    const result = { group: "ops", file, name: c.name };
    if (run) yield { ...result, checks: await attempt(() => run(c as never)) };
    else if (!calls[op]) yield { ...result, checks: [], notCovered: `no such op here: ${op}` };
    else yield { ...result, checks: await attempt(() => withTensors(tensors, (golden) => runCase(op, c, golden))) };
  }
}

async function runCase(op: string, c: Case, golden: Golden): Promise<Check[]> {
  const find = async (name: string) => {
    const tensor = await golden(`${c.name}.${name}`);
    if (!tensor) throw new Error(`ops/${op}/${c.name}: the file has no tensor ${c.name}.${name}`);
    return tensor;
  };
  let finiteInput = true;
  const results = await g.scope(async () => {
    const inputs: Inputs = {};
    for (const name of c.inputs) {
      const input = await find(name);
      finiteInput &&= input.data.every((v) => Number.isFinite(v));
      inputs[name] = toTensor(input);
      inputs[name].requiresGrad = c.grads.includes(`d${name}`);
    }
    const outputs = await calls[op]!(inputs, c.attrs);
    const named: Record<string, g.Tensor | undefined> = outputs instanceof g.Tensor ? { y: outputs } : outputs;
    for (const name of c.grad_outputs) {
      const output = named[name.slice(1)];
      output?.backward({ gradient: toTensor(await find(name)) });
    }
    for (const name of c.grads) named[name] = inputs[name.slice(1)]!.grad ?? undefined;
    const values = new Map<string, Awaited<ReturnType<typeof valuesOf>>>();
    for (const name of [...c.outputs, ...c.grads]) if (named[name]) values.set(name, await valuesOf(named[name]));
    return values;
  });
  const wider = widened.find(({ cases }) => cases.test(`ops/${op}/${c.name}`))?.tolerance;
  const checks: Check[] = [];
  for (const name of [...c.outputs, ...c.grads]) {
    const tolerance = wider ?? c.tolerance?.[name] ?? c;
    checks.push(compare(name, results.get(name), await find(name), tolerance, c.special ? { finiteInput } : undefined));
  }
  return checks;
}
