import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { multiply } from "../matmul/product.ts";
import { sumTo } from "../reduce/sum.ts";
import { permute } from "../shape/permute.ts";
import { reshape } from "../shape/reshape.ts";
import dmaskCode from "./attention-dmask.wgsl";
import dsCode from "./attention-ds.wgsl";
import { dropping, type Plan } from "./plan.ts";

const dmaskKernel = kernel("ops/attention/attention-dmask.wgsl", dmaskCode);
const dsKernel = kernel("ops/attention/attention-ds.wgsl", dsCode);

type Tensors = Record<"q" | "k" | "v" | "mask" | "dy" | "rows", Tensor>;

/** Scores from which on two products pay, though they write all of them. */
const MANY = 2 ** 14;

/** The gradient of an additive mask: ds summed over the dimensions that the mask is broadcast along. */
export const maskGradient = (plan: Plan, tensors: Tensors): Tensor =>
  sizeOf(plan.full) < MANY ? oneByOne(plan, tensors) : byProducts(plan, tensors);

/** Computes each score again. */
function oneByOne(p: Plan, tensors: Tensors): Tensor {
  const { mask } = tensors;
  const dmask = empty(mask.shape);
  const { BAND, DROPOUT, F16 } = p.overrides;
  run(
    dropping(dmaskKernel, p, "kept"),
    { ...tensors, dmask },
    {
      q_strides: p.qStrides,
      k_strides: p.kStrides,
      mask_shape: p.maskShape,
      full_shape: p.full,
      ...p.dropout,
      size: mask.size,
      scale: p.scale,
      group: p.group,
      ...p.band,
      head_dim: p.headDim,
    },
    { threads: mask.size, overrides: { BAND, DROPOUT, F16 } },
  );
  return dmask;
}

/** By the kernels of matrix products, which need Tq × Tk scores twice. */
function byProducts(p: Plan, { q, k, v, mask, dy, rows }: Tensors): Tensor {
  const [B, H, Tq, Tk] = p.full as [number, number, number, number];
  const { BAND, DROPOUT, F16 } = p.overrides;
  const D = p.headDim;
  const headsFirst = (x: Tensor): Tensor => (p.layout === "BHTD" ? x : permute(x, [0, 2, 1, 3]));
  const product = (a: Tensor, b: Tensor): Tensor => {
    const c = empty(p.full);
    const M = p.group * Tq; // heads of q that share one of k and v are one matrix
    const batch = [{ size: (B * H) / p.group, a: M * D, b: Tk * D, c: M * Tk }];
    const sizes = { M, N: Tk, K: D, transposeB: true, batch, precision: F16 ? ("f16" as const) : ("f32" as const) };
    multiply({ a: headsFirst(a), b: headsFirst(b), c, ...sizes });
    return c;
  };
  const scores = product(q, k);
  run(
    dropping(dsKernel, p, "kept"),
    { scores, dps: product(dy, v), mask, rows },
    { mask_strides: p.maskStrides, full_shape: p.full, ...p.dropout, size: scores.size, scale: p.scale, ...p.band },
    { threads: scores.size, overrides: { BAND, DROPOUT } },
  );
  return reshape(sumTo(scores, p.maskShape), mask.shape);
}
