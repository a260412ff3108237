import "@gpugrad/autograd";
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

/** beta x + alpha a b; with beta 0, x leaves no trace. */
const addmm: Call = (t, { beta, alpha }) => {
  const x = t["x"]!;
  const product = g.mul(g.matmul(t["a"]!, t["b"]!), alpha as number);
  const scaled = beta === 0 ? g.maskedFill(x, g.ones(x.shape, { dtype: "bool" }), 0) : g.mul(x, beta as number);
  return g.add(scaled, product);
};

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

  addmm,
  baddbmm: addmm,
  bmm: binary((a, b) => g.matmul(a, b)),
  gather: calls["gather"]!,
};

const group: OpGroup = { name: "ops-more", calls: more };

/** Runs the cases of every op in `dir`, forward and backward. `wanted` is asked with a case's id. */
export const opsMore = (dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> =>
  casesOfAll(dir, wanted, group);
