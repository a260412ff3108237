import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import code from "./triangle.wgsl";

const triangleKernel = kernel("ops/shape/triangle.wgsl", code);

/** Which diagonal: 0 is the main one, 1 the next above it. */
export interface TriangleOptions {
  diagonal?: number;
}

const define = (name: string, UPPER: 0 | 1) => {
  const cut = (x: Tensor, diagonal: number): Tensor => {
    const [rows, cols] = x.shape.slice(-2) as [number, number];
    const y = empty(x.shape, x.dtype);
    run(triangleKernel, { x, y }, { size: x.size, rows, cols, diagonal }, { threads: x.size, overrides: { UPPER } });
    return y;
  };
  return defineOp(name, {
    takes: { x: "tensor", options: { diagonal: "number?" } },
    forward(x: Tensor, { diagonal = 0 }: TriangleOptions = {}) {
      check(x.rank >= 2, () => `${name}: ${showShape(x.shape)} is not a matrix.`);
      check(Number.isInteger(diagonal), () => `${name}: diagonal ${diagonal} is not a whole number.`);
      return { output: cut(x, diagonal), inputs: { x }, saved: { diagonal } };
    },
    backward: ({ diagonal }, dy) => ({ x: cut(dy, diagonal) }),
  });
};

/** x with zeros above the diagonal, in the last two dimensions. Any dtype of 32 bits. */
export const tril = define("tril", 0);

/** x with zeros below the diagonal, in the last two dimensions. Any dtype of 32 bits. */
export const triu = define("triu", 1);
