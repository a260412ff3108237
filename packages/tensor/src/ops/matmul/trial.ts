import { f16Bits, f16Value } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { fromArray } from "../../factories.ts";
import { type MatmulRung } from "./task.ts";

/** A product to try: which operands lie transposed, and the sizes. */
export interface MatmulForm {
  transposeA: boolean;
  transposeB: boolean;
  M: number;
  N: number;
  K: number;
}

/** The four forms of a product that ends within tiles in all three directions. */
export const forms: MatmulForm[] = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB, M: 132, N: 68, K: 44 })),
);

/**
 * Tries a rung where its precision or its instructions can't be taken for granted: two products each, of factors that f16 holds
 * exactly, with a bias, against sums in float64.
 * @throws when one is wrong
 */
export async function tryMatmul(
  rung: Pick<MatmulRung, "kernel" | "compute">,
  tried: readonly MatmulForm[],
): Promise<void> {
  for (const { transposeA, transposeB, M, N, K } of tried) {
    const batches = 2;
    const [a, b, bias] = [numbers(batches * M * K, 1), numbers(batches * K * N, 2), numbers(N, 3)];
    const tensors = {
      a: fromArray(a, [batches, M * K]),
      b: fromArray(b, [batches, K * N]),
      bias: fromArray(bias, [N]),
      c: fromArray(new Float32Array(batches * M * N).fill(NaN), [batches, M, N]), // whatever isn't written is noticed
    };
    try {
      rung.compute({
        ...{ M, N, K, batches, precision: "f16", accumulate: false, bias: tensors.bias },
        ...{ gelu: undefined, stored: undefined, scale: undefined },
        a: { tensor: tensors.a, first: 0, step: M * K, transposed: transposeA },
        b: { tensor: tensors.b, first: 0, step: K * N, transposed: transposeB },
        c: { tensor: tensors.c, first: 0, step: M * N },
      });
      const c = await tensors.c.data();
      for (let at = 0; at < c.length; at++) {
        const [batch, i, j] = [Math.floor(at / (M * N)), Math.floor(at / N) % M, at % N];
        let sum = bias[j]!;
        for (let k = 0; k < K; k++) {
          const left = a[batch * M * K + (transposeA ? k * M + i : i * K + k)]!;
          sum += left * b[batch * K * N + (transposeB ? j * K + k : k * N + j)]!;
        }
        check(
          Math.abs(Number(c[at]) - sum) <= 1e-4, // sums in f16 would be off by 1e-2
          () =>
            `${rung.kernel} computes wrongly here: element [${batch}, ${i}, ${j}] of ${transposeA ? "Aᵀ" : "A"} · ${transposeB ? "Bᵀ" : "B"} ` +
            `(M ${M}, N ${N}, K ${K}) is ${c[at]}, not ${sum}.`,
        );
      }
    } finally {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    }
  }
}

/** Numbers from −1 to 1 without a pattern, rounded to f16. */
const numbers = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => f16Value(f16Bits(Math.sin(12.9898 * (i + 1) + 78.233 * seed))));
