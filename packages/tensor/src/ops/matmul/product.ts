import { empty, type Tensor } from "../../tensor.ts";
import { applyUnary } from "../elementwise/apply.ts";
import type { ComputeType } from "../../autocast.ts";
import { choose } from "./choose.ts";
import { widened } from "./quantize.ts";
import type { Gelu, Stored } from "./task.ts";

/** A dimension of the batch, and how far apart its matrices lie in each tensor, in elements: 0 where it is broadcast or summed. */
export interface BatchDim {
  size: number;
  a: number;
  b: number;
  c: number;
}

/** C = op(A) · op(B) + bias for each index of the batch, where op transposes or not. A dimension along which C does not move is summed. */
export interface Product {
  /** [M, K], or [K, M] if transposed. */
  a: Tensor;
  /** [K, N], or [N, K] if transposed: f32, or kept in 16 bits, or in 8 with a scale. */
  b: Tensor;
  /** [N]: what the columns of B are multiplied by, where it is kept in 8 bits: see quantize.ts. */
  scale?: Tensor | undefined;
  /** [M, N]: written, whatever it held, or added to. */
  c: Tensor;
  accumulate?: boolean;
  M: number;
  N: number;
  K: number;
  transposeA?: boolean;
  transposeB?: boolean;
  batch?: readonly BatchDim[];
  /** [N]: added to every row. */
  bias?: Tensor | undefined;
  /** y = gelu(C), [M, N]: written as well, by the kernel itself where it can. */
  gelu?: Gelu | undefined;
  /** What A and B are rounded to before they are multiplied; f32 unless said otherwise. */
  precision?: ComputeType;
  /** Whether the sums of op(A)'s rows are wanted, too, if they can be had in passing. Of a single product, with A transposed. */
  sumsRows?: boolean;
}

/**
 * Runs a product: one dispatch for the innermost dimension of a batch, while the host counts through the rest, which is rarely there.
 * Gives the sums of op(A)'s rows, [M], if they were asked for and the kernel could add them up.
 */
export function multiply(product: Product): Tensor | undefined {
  const {
    a,
    b,
    c,
    bias,
    scale,
    gelu,
    M,
    N,
    K,
    batch,
    transposeA = false,
    transposeB = false,
    precision = "f32",
    sumsRows = false,
    accumulate = false,
  } = simplify(product);
  if (c.size === 0) return undefined;
  const moving = batch.filter((dim) => dim.c > 0);
  const summed = batch.filter((dim) => dim.c === 0);
  const inner = moving.pop() ?? { size: 1, a: 0, b: 0, c: 0 };
  const nothing = summed.some((dim) => dim.size === 0); // an empty sum is 0, as a product over K = 0 is
  const terms = nothing ? [{ a: 0, b: 0, c: 0 }] : offsets(summed);
  const sizes = { M, N, K: nothing ? 0 : K, batches: inner.size, precision };
  const { rung, splits } = choose(sizes);
  const fused = rung.fusesGelu;
  const adds = rung.sumsRows === true || rung.sumsRows === precision;
  const rowSums = sumsRows && adds && N % 4 === 0 ? empty([M]) : undefined;
  const stored: Stored | undefined = scale ? "i8" : b.dtype === "f16" ? "f16" : undefined;
  const asStored = stored && rung.readsStored && transposeB && inner.b % 4 === 0 && K % 4 === 0;
  const factor = asStored ? b : widened(b, scale);
  for (const outer of offsets(moving)) {
    for (const [index, term] of terms.entries()) {
      const task = {
        ...sizes,
        a: { tensor: a, first: outer.a + term.a, step: inner.a, transposed: transposeA },
        b: { tensor: factor, first: outer.b + term.b, step: inner.b, transposed: transposeB },
        c: { tensor: c, first: outer.c, step: inner.c },
        bias: index === 0 ? bias : undefined,
        accumulate: accumulate || index > 0,
        stored: asStored ? stored : undefined,
        scale: asStored ? scale : undefined,
        gelu: fused && index === terms.length - 1 ? gelu : undefined,
        rowSums,
        splits,
      };
      rung.compute(task);
    }
  }
  if (factor !== b) factor.dispose();
  if (gelu && !fused) applyUnary(gelu.fn, c, undefined, gelu.y);
  return rowSums;
}

/**
 * The same product with fewer dimensions of batch: neighbours that lie in memory as one are joined; a batch of A against one B is one tall A,
 * and a sum over a batch of Aᵀ · B is one long sum over k.
 */
function simplify(product: Product): Product & { batch: BatchDim[] } {
  let { M, K } = product;
  const batch: BatchDim[] = [];
  for (const dim of product.batch ?? []) {
    if (dim.size === 1) continue;
    const last = batch.at(-1);
    const joins = last && (["a", "b", "c"] as const).every((m) => last[m] === dim[m] * dim.size);
    if (joins) batch[batch.length - 1] = { ...dim, size: last.size * dim.size };
    else batch.push(dim);
  }
  const { N, transposeA = false, transposeB = false } = product;
  const last = batch.at(-1);
  if (last && !transposeA && last.b === 0 && last.a === M * K && last.c === M * N) {
    M *= batch.pop()!.size;
  } else if (last && transposeA && !transposeB && last.c === 0 && last.a === K * M && last.b === K * N) {
    K *= batch.pop()!.size;
  }
  return { ...product, M, K, batch };
}

/** Where each index of the dimensions begins in each tensor. */
function offsets(dims: readonly BatchDim[]): { a: number; b: number; c: number }[] {
  return dims.reduce(
    (list, dim) =>
      list.flatMap(({ a, b, c }) =>
        Array.from({ length: dim.size }, (_, i) => ({ a: a + i * dim.a, b: b + i * dim.b, c: c + i * dim.c })),
      ),
    [{ a: 0, b: 0, c: 0 }],
  );
}
