import "@gpugrad/autograd";
import { filterLogits, GRU, GRUCell, LSTM, LSTMCell, type Module } from "@gpugrad/nn";
import * as g from "@gpugrad/tensor";
import {
  binary,
  calls,
  casesOfAll,
  given,
  operands,
  unary,
  type Attributes,
  type Call,
  type Inputs,
  type OpGroup,
} from "./ops.ts";
import type { Result } from "./report.ts";

/** Parts of a result, as `y0`, `y1` and so on. */
const parts = (list: readonly g.Tensor[]): Record<string, g.Tensor> =>
  Object.fromEntries(list.map((y, i) => [`y${i}`, y]));

/** The second operand: a tensor, or a number among the attributes. */
const divided =
  (op: (a: g.Tensor, b: g.Tensor | number) => g.Tensor): Call =>
  (t, { b }) =>
    op(t["a"]!, t["b"] ?? (b as number));

/** What `gate` and `up` are: two inputs, the halves of one, or the products of one with two weights. */
function gated(t: Inputs, { packed }: Attributes, act: (gate: g.Tensor) => g.Tensor): g.Tensor {
  if (t["w_down"]) {
    const { x, w_gate, w_up, w_down } = t;
    return g.linear(g.mul(act(g.linear(x!, w_gate!)), g.linear(x!, w_up!)), w_down);
  }
  if (packed === null) return g.mul(act(t["gate"]!), t["up"]!);
  const halves = g.chunk(t["x"]!, 2, { dim: -1 });
  const [gate, up] = packed === "gate_first" ? halves : halves.reverse();
  return g.mul(act(gate!), up!);
}

/** Python's `x[...]`, token by token. A mask becomes the places where it is true. */
async function entriesOf(t: Inputs, { index }: Attributes): Promise<g.IndexEntry[]> {
  const entries: g.IndexEntry[] = [];
  for (const token of index as (string | number)[]) {
    const tensor = t[token];
    if (tensor?.dtype === "bool") entries.push(...g.unbind(await g.nonzero(tensor), { dim: 1 }));
    else if (tensor) entries.push(tensor);
    else if (token === "None") entries.push(null);
    else if (typeof token === "number" || token === ":" || token === "...") entries.push(token);
    else entries.push(token.split(":").map((n) => (n === "" ? null : Number(n))) as unknown as g.Slice);
  }
  return entries;
}

const conv =
  (op: typeof g.conv2d | typeof g.convTranspose2d): Call =>
  (t, { stride, padding, output_padding, dilation, groups }) =>
    op(t["x"]!, t["weight"]!, t["bias"], given({ stride, padding, outputPadding: output_padding, dilation, groups }));

const maxPool =
  (op: typeof g.maxPool2dWithIndices): Call =>
  (t, { kernel_size, stride, padding, dilation, ceil_mode }) => {
    const options = given({ stride, padding, dilation, ceilMode: ceil_mode });
    const { output, indices } = op(t["x"]!, kernel_size as number[], options);
    return { y: output, indices };
  };

const avgPool =
  (op: typeof g.avgPool2d): Call =>
  (t, { kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override }) => {
    const options = { stride, padding, ceilMode: ceil_mode, countIncludePad: count_include_pad };
    return op(t["x"]!, kernel_size as number[], given({ ...options, divisorOverride: divisor_override }));
  };

/** A norm with copies of the running values, and what became of them. */
function withRunning(
  t: Inputs,
  norm: (mean?: g.Tensor, value?: g.Tensor) => g.Tensor,
): Record<string, g.Tensor | undefined> {
  const [mean, value] = [t["running_mean"], t["running_var"]].map((x) => x && g.clone(x));
  return { y: norm(mean, value), running_mean_after: mean, running_var_after: value };
}

/** beta x + alpha a b; with beta 0, x leaves no trace. */
const addmm: Call = (t, { beta, alpha }) => {
  const x = t["x"]!;
  const product = g.mul(g.matmul(t["a"]!, t["b"]!), alpha as number);
  const scaled = beta === 0 ? g.maskedFill(x, g.ones(x.shape, { dtype: "bool" }), 0) : g.mul(x, beta as number);
  return g.add(scaled, product);
};

/**
 * The fused op. What it has no option for becomes its mask: a causal one that ends at the last key, distances; a softcap is the formula
 * written out.
 */
function attention(t: Inputs, { scale, causal, window, softcap, alibi }: Attributes): g.Tensor {
  const [q, k, v] = [t["q"]!, t["k"]!, t["v"]!];
  const [heads, Tq, D, Tk] = [q.shape[1]!, q.shape[2]!, q.shape[3]!, k.shape[2]!];
  const before = window === null ? null : (window as number) - 1; // there, a window counts the query's own key
  const shift = causal === "bottom_right" ? Tk - Tq : 0;
  const seen = (): g.Tensor => {
    const past = g.tril(g.ones([Tq, Tk], { dtype: "bool" }), { diagonal: shift });
    return before === null ? past : g.triu(past, { diagonal: shift - before });
  };
  if (softcap !== null) {
    const shared = [1, 1, heads / k.shape[1]!, 1, 1];
    const ofHeads = (x: g.Tensor): g.Tensor =>
      g.flatten(g.repeat(g.unsqueeze(x, 2), shared), { startDim: 1, endDim: 2 });
    const scores = g.mul(g.matmul(q, ofHeads(k), { transposeB: true }), (scale as number | null) ?? D ** -0.5);
    const capped = g.mul(g.tanh(g.div(scores, softcap as number)), softcap as number);
    return g.matmul(g.softmax(g.maskedFill(capped, g.logicalNot(seen()), -Infinity)), ofHeads(v));
  }
  const distance = (i: number): number => (Math.floor(i / Tk) % Tq) + shift - (i % Tk);
  const slopes = alibi as number[] | null;
  const bias =
    slopes &&
    g.fromArray(
      Float32Array.from({ length: heads * Tq * Tk }, (_, i) => -slopes[Math.floor(i / (Tq * Tk))]! * distance(i)),
      [heads, Tq, Tk],
    );
  const added = t["bias"] ?? bias;
  const keyMask = t["key_mask"] && g.reshape(t["key_mask"], [q.shape[0]!, 1, 1, Tk]);
  const options = { ...given({ scale }), enableGqa: true };
  if (causal !== "bottom_right") {
    const mask = added ?? keyMask;
    return g.scaledDotProductAttention(q, k, v, {
      ...options,
      ...given({ mask, window: before, isCausal: causal !== null }),
    });
  }
  const mask = added ? g.where(seen(), added, -Infinity) : seen();
  return g.scaledDotProductAttention(q, k, v, { ...options, mask });
}

/** Turned by positions in their own layout, [B, H, T, D]. */
function turned(t: Inputs, { style, theta, rotary_dim, positions }: Attributes): g.Tensor {
  const [x, cosine, sine] = [t["x"]!, t["cos"], t["sin"]];
  const places = t["positions"] ?? g.tensor((positions ?? []) as number[], "i32");
  const angles = cosine && sine ? { cosine, sine } : g.rotaryAngles(places, rotary_dim as number, given({ theta }));
  const y = g.rotary(g.permute(x, [0, 2, 1, 3]), angles.cosine, angles.sine, { interleaved: style === "interleaved" });
  return g.permute(y, [0, 2, 1, 3]);
}

/** A layer whose parameters are these tensors. */
function withWeights<M extends Module>(layer: M, t: Inputs): M {
  layer.dispose();
  return Object.assign(layer, Object.fromEntries([...layer.namedParameters()].map(([name]) => [name, t[name]])));
}

const sequenceOptions = ({ num_layers, bidirectional, bias, batch_first }: Attributes): object =>
  given({ numLayers: num_layers, bidirectional, bias, batchFirst: batch_first });

const more: Record<string, Call> = {
  softplus: (t, { beta, threshold }) => g.softplus(t["x"]!, given({ beta, threshold })),
  leaky_relu: (t, { negative_slope }) => g.leakyRelu(t["x"]!, given({ negativeSlope: negative_slope })),
  elu: (t, { alpha }) => g.elu(t["x"]!, given({ alpha })),
  celu: (t, { alpha }) => g.celu(t["x"]!, given({ alpha })),
  hardtanh: (t, { min_val, max_val }) => g.hardtanh(t["x"]!, given({ minVal: min_val, maxVal: max_val })),
  ...Object.fromEntries(
    Object.entries({
      ...{ selu: g.selu, mish: g.mish, hardswish: g.hardswish, hardsigmoid: g.hardsigmoid, logsigmoid: g.logsigmoid },
      ...{ log1p: g.log1p, expm1: g.expm1, trace: g.trace },
    }).map(([name, op]) => [name, unary(op)]),
  ),
  glu: (t, { dim }) => g.glu(t["x"]!, given({ dim })),
  swiglu: (t, attrs) => gated(t, attrs, g.silu),
  geglu: (t, attrs) => gated(t, attrs, (x) => g.gelu(x, { approximate: attrs["approximate"] as "tanh" })),
  logaddexp: binary(g.logaddexp),
  remainder: divided(g.remainder),
  fmod: divided(g.fmod),

  chunk: (t, { chunks, dim }) => parts(g.chunk(t["x"]!, chunks as number, given({ dim }))),
  split: (t, { size, dim }) => parts(g.split(t["x"]!, size as number, given({ dim }))),
  unbind: (t, { dim }) => parts(g.unbind(t["x"]!, given({ dim }))),
  roll: (t, { shifts, dims }) => g.roll(t["x"]!, shifts as number, (dims as number | null) ?? undefined),
  diag: (t, { diagonal }) => g.diag(t["x"]!, given({ diagonal })),
  diagonal: (t, { offset, dim1, dim2 }) => g.diagonal(t["x"]!, given({ offset, dim1, dim2 })),
  diag_embed: (t, { offset, dim1, dim2 }) => g.diagEmbed(t["x"]!, given({ offset, dim1, dim2 })),
  meshgrid: (t, { indexing }) => parts(g.meshgrid(operands(t), given({ indexing }))),
  outer: binary(g.outer),
  cross: (t, { dim }) => g.cross(t["a"]!, t["b"]!, given({ dim })),

  any: (t, { dim, keepdim }) => g.any(t["x"]!, given({ dim, keepdim })),
  all: (t, { dim, keepdim }) => g.all(t["x"]!, given({ dim, keepdim })),
  std: (t, { dim, keepdim, correction }) => g.std(t["x"]!, given({ dim, keepdim, correction })),
  var: (t, { dim, keepdim, correction }) => g.variance(t["x"]!, given({ dim, keepdim, correction })),
  norm: (t, { ord, dim, keepdim, matrix }) =>
    matrix === true ? g.matrixNorm(t["x"]!, given({ ord, keepdim })) : g.norm(t["x"]!, given({ ord, dim, keepdim })),
  normalize: (t, { p, dim, eps }) => g.normalize(t["x"]!, given({ p, dim, eps })),
  cumprod: (t, { dim }) => g.cumprod(t["x"]!, given({ dim })),
  logcumsumexp: (t, { dim }) => g.logcumsumexp(t["x"]!, given({ dim })),

  sort: (t, { dim, descending }) => {
    const { values, indices } = g.sort(t["x"]!, given({ dim, descending }));
    return { y: values, indices };
  },
  argsort: (t, { dim, descending }) => g.argsort(t["x"]!, given({ dim, descending })),
  topk: (t, { k, dim, largest }) => {
    const { values, indices } = g.topk(t["x"]!, k as number, given({ dim, largest }));
    return { y: values, indices };
  },
  scatter: (t, { dim, value }) => g.scatter(t["x"]!, dim as number, t["index"]!, t["src"] ?? (value as number)),
  scatter_reduce: (t, { dim, reduce, include_self }) =>
    g.scatterReduce(t["x"]!, dim as number, t["index"]!, t["src"]!, {
      reduce: reduce as "sum",
      includeSelf: include_self as boolean,
    }),
  nonzero: (t) => g.nonzero(t["x"]!),
  masked_select: (t) => g.maskedSelect(t["x"]!, t["mask"]!),
  boolean_mask: async (t) => g.index(t["x"]!, g.unbind(await g.nonzero(t["mask"]!), { dim: 1 })),
  advanced_index: async (t, attrs) => g.index(t["x"]!, await entriesOf(t, attrs)),
  index_put: async (t, attrs) =>
    g.indexPut(t["x"]!, await entriesOf(t, attrs), t["values"]!, given({ accumulate: attrs["accumulate"] })),

  conv1d: conv(g.conv1d),
  conv2d: conv(g.conv2d),
  conv_transpose1d: conv(g.convTranspose1d),
  conv_transpose2d: conv(g.convTranspose2d),
  max_pool1d: maxPool(g.maxPool1dWithIndices),
  max_pool2d: maxPool(g.maxPool2dWithIndices),
  avg_pool1d: avgPool(g.avgPool1d),
  avg_pool2d: avgPool(g.avgPool2d),
  adaptive_avg_pool2d: (t, { output_size }) => g.adaptiveAvgPool2d(t["x"]!, output_size as number[]),
  adaptive_max_pool2d: (t, { output_size }) => {
    const { output, indices } = g.adaptiveMaxPool2dWithIndices(t["x"]!, output_size as number[]);
    return { y: output, indices };
  },
  batch_norm: (t, { training, momentum, eps, calls = 1 }) =>
    withRunning(t, (mean, value) => {
      const call = (x: g.Tensor, i: number): g.Tensor => {
        const options = { training, momentum: momentum ?? 1 / (i + 1), eps }; // null: plain means over the calls
        return g.batchNorm(x, mean, value, t["weight"], t["bias"], given(options));
      };
      return Array.from({ length: calls as number }, (_, i) => call(t["x"] ?? t[`x${i}`]!, i)).at(-1)!;
    }),
  instance_norm: (t, { use_input_stats, momentum, eps }) =>
    withRunning(t, (mean, value) =>
      g.instanceNorm(
        t["x"]!,
        mean,
        value,
        t["weight"],
        t["bias"],
        given({ useInputStats: use_input_stats, momentum, eps }),
      ),
    ),
  group_norm: (t, { num_groups, eps }) =>
    g.groupNorm(t["x"]!, num_groups as number, t["weight"], t["bias"], given({ eps })),
  interpolate: (t, { mode, size, scale_factor, align_corners }) =>
    g.interpolate(t["x"]!, given({ mode, size, scaleFactor: scale_factor, alignCorners: align_corners })),

  embedding_bag: (t, { mode, padding_idx, include_last_offset }) => {
    const { offsets, per_sample_weights: perSampleWeights } = t;
    const options = {
      mode,
      offsets,
      perSampleWeights,
      paddingIdx: padding_idx,
      includeLastOffset: include_last_offset,
    };
    return g.embeddingBag(t["weight"]!, t["ids"]!, given(options));
  },

  gru_cell: (t, attrs) => {
    const [x, h] = [t["x"]!, t["h"]!];
    const cell = withWeights(new GRUCell(x.shape[1]!, h.shape[1]!, given({ bias: attrs["bias"] })), t);
    return { h_after: cell.forward(x, h) };
  },
  lstm_cell: (t, attrs) => {
    const [x, h, c] = [t["x"]!, t["h"]!, t["c"]!];
    const cell = withWeights(new LSTMCell(x.shape[1]!, h.shape[1]!, given({ bias: attrs["bias"] })), t);
    const [h_after, c_after] = cell.forward(x, [h, c]);
    return { h_after, c_after };
  },
  gru: (t, attrs) => {
    const layer = withWeights(new GRU(t["x"]!.shape[2]!, attrs["hidden_size"] as number, sequenceOptions(attrs)), t);
    const [y, h_n] = layer.forward(t["x"]!, t["h0"], { lengths: t["lengths"] });
    return { y, h_n };
  },
  lstm: (t, attrs) => {
    const layer = withWeights(new LSTM(t["x"]!.shape[2]!, attrs["hidden_size"] as number, sequenceOptions(attrs)), t);
    const first = t["h0"] && ([t["h0"], t["c0"]!] as const);
    const [y, [h_n, c_n]] = layer.forward(t["x"]!, first, { lengths: t["lengths"] });
    return { y, h_n, c_n };
  },

  attention,
  rotary_neox: turned,
  rotary_interleaved: turned,

  logits_filter: (t, { repetition_penalty, temperature, top_k, top_p, min_p }) => {
    const options = { repetitionPenalty: repetition_penalty, temperature, topK: top_k, topP: top_p, minP: min_p };
    const y = filterLogits(t["x"]!, { ...given(options), ids: t["ids"] });
    return { y, probabilities: g.softmax(y) };
  },

  einsum: (t, { equation }) => g.einsum(equation as string, operands(t)),
  tensordot: (t, { dims }) => g.tensordot(t["a"]!, t["b"]!, { dims: dims as number }),
  huber: (t, { reduction, delta }) => g.huberLoss(t["x"]!, t["target"]!, given({ reduction, delta })),
  binary_cross_entropy: (t, { reduction }) =>
    g.binaryCrossEntropy(t["x"]!, t["target"]!, { ...given({ reduction }), weight: t["weight"] }),
  nll_loss: (t, { reduction, ignore_index }) =>
    g.nllLoss(t["x"]!, t["target"]!, { ...given({ reduction, ignoreIndex: ignore_index }), weight: t["weight"] }),
  gaussian_nll: (t, { full, eps, reduction }) =>
    g.gaussianNllLoss(t["x"]!, t["target"]!, t["var"]!, given({ full, eps, reduction })),
  solve_triangular: (t, { upper, unitriangular }) =>
    g.solveTriangular(t["a"]!, t["b"]!, { upper: upper as boolean, ...given({ unitriangular }) }),
  cdist: (t, { p }) => g.cdist(t["a"]!, t["b"]!, given({ p })),
  kl_div: calls["kl_div"]!,
  triangular: (_t, { upper, offset, shape }) => {
    const [rows, columns] = shape as [number, number];
    const mask = (upper === true ? g.triu : g.tril)(g.ones([rows, columns], { dtype: "bool" }), {
      diagonal: offset as number,
    });
    return g.nonzero(mask).then((places) => ({ y: g.transpose(places, 0, 1), mask }));
  },

  addmm,
  baddbmm: addmm,
  bmm: binary((a, b) => g.matmul(a, b)),
  gather: calls["gather"]!,
  cross_entropy: (t, attrs) => {
    if (attrs["classes_last"] !== true) return calls["cross_entropy"]!(t, attrs);
    const { x, target, ...rest } = t;
    return calls["cross_entropy"]!({ ...rest, x: g.flatten(x!, { endDim: -2 }), target: g.flatten(target!) }, attrs);
  },
};

const group: OpGroup = { name: "ops-more", calls: more };

/** Runs the cases of every op in `dir`, forward and backward. `wanted` is asked with a case's id. */
export const opsMore = (dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> =>
  casesOfAll(dir, wanted, group);
