import { computeType } from "../../autocast.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { broadcastShapes, broadcastStrides, showShape, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { multiply, type BatchDim } from "./product.ts";

/** Which operands are taken transposed, in their last two dimensions. Vectors are not. */
export interface MatmulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/** The sizes of a product, from the shapes of its operands. */
interface Plan {
  shape: number[];
  M: number;
  N: number;
  K: number;
  transposeA: boolean;
  transposeB: boolean;
  batch: BatchDim[];
}

function plan(a: Shape, b: Shape, options: MatmulOptions): Plan {
  const where = () => `a ${showShape(a)} · b ${showShape(b)}`;
  check(
    a.length > 0 && b.length > 0,
    () => `matmul: a scalar is not a matrix: ${where()}. mul() multiplies element by element.`,
  );
  // As in torch.matmul, a vector counts as one row on the left and as one column on the right: that dimension is dropped again.
  const transposeA = (options.transposeA ?? false) && a.length > 1;
  const transposeB = (options.transposeB ?? false) && b.length > 1;
  const [aRows, aCols] = a.length === 1 ? [1, a[0]!] : [a.at(-2)!, a.at(-1)!];
  const [bRows, bCols] = b.length === 1 ? [b[0]!, 1] : [b.at(-2)!, b.at(-1)!];
  const [M, K] = transposeA ? [aCols, aRows] : [aRows, aCols];
  const [inner, N] = transposeB ? [bCols, bRows] : [bRows, bCols];
  check(K === inner, () => {
    const flips = `${transposeA ? "transposeA" : ""}${transposeA && transposeB ? ", " : ""}${transposeB ? "transposeB" : ""}`;
    const hint = K === N ? ` Did you mean ${transposeB ? "no " : ""}transposeB?` : "";
    return `matmul: inner dimensions differ: ${where()}${flips && ` with ${flips}`} (${K} and ${inner}).${hint}`;
  });

  const aBatch = a.slice(0, -2);
  const bBatch = b.slice(0, -2);
  const batchShape = broadcastShapes("matmul, batch of", aBatch, bBatch);
  const steps = (shape: Shape, size: number) => broadcastStrides(shape, batchShape).map((step) => step * size);
  const [aSteps, bSteps, cSteps] = [steps(aBatch, M * K), steps(bBatch, K * N), steps(batchShape, M * N)];
  const batch = batchShape.map((size, i) => ({ size, a: aSteps[i]!, b: bSteps[i]!, c: cSteps[i]! }));
  const shape = [...batchShape, ...(a.length > 1 ? [M] : []), ...(b.length > 1 ? [N] : [])];
  return { shape, M, N, K, transposeA, transposeB, batch };
}

/**
 * op(a) · op(b), where op transposes the last two dimensions if asked: [..., M, K] · [..., K, N] gives [..., M, N], f32.
 * The dimensions before them are a batch, and broadcast. Vectors as in torch.matmul: [K] · [K, N] gives [N], [M, K] · [K]
 * gives [M], [K] · [K] a scalar.
 * @throws when the inner dimensions differ, the batches don't broadcast, or the elements are not floats.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.matmul.html
 */
export const matmul = defineOp("matmul", {
  takes: { a: "tensor", b: "tensor", options: { transposeA: "boolean?", transposeB: "boolean?" } },
  forward(a: Tensor, b: Tensor, options: MatmulOptions = {}) {
    for (const [name, x] of Object.entries({ a, b })) {
      check(
        x.dtype === "f32",
        () => `matmul: ${name} is ${x.dtype}; products are of floats. cast(${name}, "f32") makes it one.`,
      );
    }
    const sizes = { ...plan(a.shape, b.shape, options), precision: computeType() };
    const y = empty(sizes.shape);
    multiply({ ...sizes, a, b, c: y });
    return { output: y, inputs: { a, b }, saved: { a, b, sizes } };
  },
  // dA = dY · op(B)ᵀ and dB = op(A)ᵀ · dY, transposed as a whole where A or B is: always a product of two of the three with the
  // transpositions exchanged, so nothing is ever transposed in memory. A batch that was broadcast is summed.
  backward({ a, b, sizes }, dy, needs) {
    const { M, N, K, transposeA, transposeB, batch, precision } = sizes;
    const da = () => {
      const c = empty(a.shape);
      if (transposeA) {
        const steps = batch.map((d) => ({ size: d.size, a: d.b, b: d.c, c: d.a }));
        multiply({
          a: b,
          b: dy,
          c,
          M: K,
          N: M,
          K: N,
          transposeA: transposeB,
          transposeB: true,
          batch: steps,
          precision,
        });
      } else {
        const steps = batch.map((d) => ({ size: d.size, a: d.c, b: d.b, c: d.a }));
        multiply({ a: dy, b, c, M, N: K, K: N, transposeB: !transposeB, batch: steps, precision });
      }
      return c;
    };
    const db = () => {
      const c = empty(b.shape);
      if (transposeB) {
        const steps = batch.map((d) => ({ size: d.size, a: d.c, b: d.a, c: d.b }));
        multiply({
          a: dy,
          b: a,
          c,
          M: N,
          N: K,
          K: M,
          transposeA: true,
          transposeB: transposeA,
          batch: steps,
          precision,
        });
      } else {
        const steps = batch.map((d) => ({ size: d.size, a: d.a, b: d.c, c: d.b }));
        multiply({ a, b: dy, c, M: K, N, K: M, transposeA: !transposeA, batch: steps, precision });
      }
      return c;
    };
    return { a: needs.a ? da() : undefined, b: needs.b ? db() : undefined };
  },
});
