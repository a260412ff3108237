import type { OpName, Pass, Sizes } from "./protocol.ts";

interface Size {
  name: string;
  values: readonly number[];
  /** What to begin with on a CPU, and on a GPU. */
  first: readonly [cpu: number, gpu: number];
}

export interface OpPage {
  passes: Pass[];
  sizes: Size[];
  /** The page of docs/ that explains the ladder, if there is one. */
  page?: string;
  /** What the result is. */
  says: string;
  /** Whether arithmetic is counted, not only traffic. */
  counted?: true;
}

const powers = (from: number, to: number): number[] => {
  const values: number[] = [];
  for (let n = from; n <= to; n *= 2) values.push(n);
  return values;
};
const size = (name: string, values: readonly number[], cpu: number, gpu: number): Size => ({ name, values, first: [cpu, gpu] }); // prettier-ignore
const rows = size("rows", powers(16, 16384), 256, 4096);

export const OPS: Record<OpName, OpPage> = {
  matmul: {
    passes: ["forward"],
    sizes: ["M", "K", "N"].map((name) => size(name, [16, 32, 64, 100, 128, 256, 384, 512, 768, 1024, 2048, 4096], 128, 1024)), // prettier-ignore
    page: "matmul",
    says: "C [M, N] = A [M, K] · B [K, N]",
    counted: true,
  },
  softmax: {
    passes: ["forward", "backward"],
    sizes: [rows, size("cols", [8, 32, 100, 128, 256, 512, 1003, 1024, 4096, 8192, 30522], 256, 256)],
    page: "softmax",
    says: "y = softmax(x) for each row of x [rows, cols]",
  },
  "layer-norm": {
    passes: ["forward", "backward"],
    sizes: [rows, size("cols", [32, 100, 128, 384, 768, 1003, 1024, 4096], 384, 768)],
    page: "layer-norm",
    says: "y = (x − mean) / √(variance + ε) · weight + bias for each row of x [rows, cols]",
  },
  gelu: {
    passes: ["forward", "backward"],
    sizes: [rows, size("cols", [128, 384, 768, 1003, 1536, 3072], 768, 3072)],
    page: "gelu",
    says: "y = x Φ(x) for each element of x [rows, cols]",
  },
  attention: {
    passes: ["forward", "backward"],
    sizes: [
      size("B", powers(1, 16), 1, 4),
      size("H", [1, 2, 4, 8, 12, 16], 2, 12),
      size("T", [16, 32, 64, 100, 128, 256, 512, 1024], 64, 256),
      size("D", [16, 32, 40, 64, 128], 32, 64),
    ],
    page: "attention",
    says: "y = softmax(q kᵀ / √D) v, with q, k and v [B, H, T, D]",
    counted: true,
  },
  "cross-entropy": {
    passes: ["forward", "backward"],
    sizes: [size("rows", powers(16, 4096), 256, 256), size("cols", [2, 16, 100, 128, 1024, 8192, 30522], 1024, 30522)],
    page: "softmax",
    says: "−ln softmax(x)[target] for each row of logits x [rows, cols]",
  },
  embedding: {
    passes: ["forward", "backward"],
    sizes: [
      size("tokens", powers(16, 16384), 256, 4096),
      size("cols", [64, 128, 384, 768, 1024], 128, 384),
      size("vocabulary", [100, 1000, 8192, 30522], 1000, 30522),
    ],
    says: "rows of a table [vocabulary, cols], by ids; backward adds up the rows of equal ids, in the same order every time",
  },
  adamw: {
    passes: ["forward"],
    sizes: [size("parameters", powers(1024, 2 ** 24), 65536, 2 ** 22)],
    says: "clipping by the norm of the gradients, and a step of AdamW",
  },
};

/** The sizes to begin with. */
export const firstSizes = ({ sizes }: OpPage, cpu: boolean): Sizes =>
  Object.fromEntries(sizes.map(({ name, first }) => [name, first[cpu ? 0 : 1]]));
