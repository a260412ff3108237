import "@gpugrad/autograd";
import * as g from "@gpugrad/tensor";
import { join, list, readJson, toTensor, valuesOf, withTensors, type Golden } from "./files.ts";
import { integerFiles } from "./integers.ts";
import { attempt, idOf, type Result } from "./report.ts";
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
export interface Attributes {
  [name: string]: unknown;
}

export type Inputs = Record<string, g.Tensor>;

/** Calls an op as its file means it: outputs by name, or `y` alone. */
export type Call = (t: Inputs, attrs: Attributes) => Outputs | Promise<Outputs>;
export type Outputs = g.Tensor | Record<string, g.Tensor | undefined>;

export const unary =
  (op: (x: g.Tensor) => g.Tensor): Call =>
  (t) =>
    op(t["x"]!);
export const binary =
  (op: (a: g.Tensor, b: g.Tensor) => g.Tensor): Call =>
  (t) =>
    op(t["a"]!, t["b"]!);

/** Options without those that are null or missing: there, null stands for the default. */
export function given<T extends Record<string, unknown>>(options: T): { [K in keyof T]: never } {
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

export const operands = ({ a, b, c }: Inputs): g.Tensor[] => [a, b, c].filter((x) => x !== undefined);

export const calls: Record<string, Call> = {
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

/** A folder of golden values of ops, and how each of them is called. */
export interface OpGroup {
  name: string;
  calls: Readonly<Record<string, Call>>;
}

const group: OpGroup = { name: "ops", calls };

/** Runs the cases of every op in `dir`, forward and backward. `wanted` is asked with a case's id. */
export const ops = (dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> =>
  casesOfAll(dir, wanted, group);

/** Runs the cases of every file. */
export async function* casesOfAll(
  dir: string,
  wanted: (id: string) => boolean,
  group: OpGroup,
): AsyncGenerator<Result> {
  for (const file of list(dir, "json")) if (file !== "index") yield* casesOf(dir, file, wanted, group);
}

/** Runs the cases of one file. */
export async function* casesOf(
  dir: string,
  file: string,
  wanted: (id: string) => boolean,
  { name: folder, calls }: OpGroup = group,
): AsyncGenerator<Result> {
  const { cases, op = file } = readJson<{ cases?: Case[]; op?: string }>(join(dir, `${file}.json`));
  const run = integerFiles[op];
  const call = calls[op];
  const tensors = join(dir, `${file}.safetensors`);
  for (const c of cases ?? []) {
    const result = { group: folder, file, name: c.name };
    if (!wanted(idOf(result))) continue;
    if (run) yield { ...result, checks: await attempt(() => run(c as never)) };
    else if (!call) yield { ...result, checks: [], notCovered: `no such op here: ${op}` };
    else {
      const checks = attempt(() => withTensors(tensors, (golden) => runCase(idOf(result), call, c, golden)));
      yield { ...result, checks: await checks };
    }
  }
}

async function runCase(id: string, call: Call, c: Case, golden: Golden): Promise<Check[]> {
  const find = async (name: string) => {
    const tensor = await golden(`${c.name}.${name}`);
    if (!tensor) throw new Error(`${id}: the file has no tensor ${c.name}.${name}`);
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
    const outputs = await call(inputs, c.attrs);
    const named: Record<string, g.Tensor | undefined> = outputs instanceof g.Tensor ? { y: outputs } : outputs;
    const weighted: [g.Tensor, g.Tensor][] = [];
    for (const name of c.grad_outputs) {
      const output = named[name.slice(1)];
      if (output) weighted.push([output, toTensor(await find(name))]);
    }
    // Outputs that share a graph go back through it together.
    if (weighted.length === 1) weighted[0]![0].backward({ gradient: weighted[0]![1] });
    else if (weighted.length > 1)
      weighted
        .map(([y, dy]) => g.sum(g.mul(y, dy)))
        .reduce((a, b) => g.add(a, b))
        .backward();
    for (const name of c.grads) named[name] = inputs[name.slice(1)]!.grad ?? undefined;
    const values = new Map<string, Awaited<ReturnType<typeof valuesOf>>>();
    for (const name of [...c.outputs, ...c.grads]) if (named[name]) values.set(name, await valuesOf(named[name]));
    return values;
  });
  const wider = widened.find(({ cases }) => cases.test(id))?.tolerance;
  const checks: Check[] = [];
  for (const name of [...c.outputs, ...c.grads]) {
    const tolerance = wider ?? c.tolerance?.[name] ?? c;
    checks.push(compare(name, results.get(name), await find(name), tolerance, c.special ? { finiteInput } : undefined));
  }
  return checks;
}
