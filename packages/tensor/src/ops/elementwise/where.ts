import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { broadcastShapes } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { sumTo } from "../reduce/sum.ts";
import type { Operand } from "./apply.ts";
import { choose } from "./choose.ts";
import { differentiable, inDType, promote, shapeOf } from "./promote.ts";

function checkMask(op: string, mask: Tensor, name: string): void {
  check(mask.dtype === "bool", () => `${op}: ${name} is ${mask.dtype}, not bool. Use ne(${name}, 0).`);
}

/**
 * a where the condition holds, else b, with broadcasting; a and b are tensors or numbers. What is not chosen leaves no trace,
 * forward or backward, not even NaN.
 */
export const where = defineOp("where", {
  takes: { condition: "tensor", a: "operand", b: "operand" },
  forward(condition: Tensor, a: Operand, b: Operand) {
    checkMask("where", condition, "the condition");
    const shape = broadcastShapes("where", condition.shape, shapeOf(a), shapeOf(b));
    const dtype = typeof a === "number" && typeof b === "number" ? "f32" : promote([a, b]);
    return {
      output: choose(condition, inDType(a, dtype), inDType(b, dtype), shape, dtype),
      inputs: { a: differentiable(a), b: differentiable(b) },
      saved: { condition, shapes: [shapeOf(a), shapeOf(b)] as const },
    };
  },
  backward({ condition, shapes }, dy, needs) {
    return {
      a: needs.a ? sumTo(choose(condition, dy, 0, dy.shape, "f32"), shapes[0]) : undefined,
      b: needs.b ? sumTo(choose(condition, 0, dy, dy.shape, "f32"), shapes[1]) : undefined,
    };
  },
});

/** x, but `value` where the mask holds; the mask and x are broadcast to each other. dx = dy where the mask does not hold. */
export const maskedFill = defineOp("maskedFill", {
  takes: { x: "tensor", mask: "tensor", value: "number" },
  forward(x: Tensor, mask: Tensor, value: number) {
    checkMask("maskedFill", mask, "the mask");
    const shape = broadcastShapes("maskedFill", x.shape, mask.shape);
    return {
      output: choose(mask, value, x, shape, x.dtype),
      inputs: { x: differentiable(x) },
      saved: { mask, shape: x.shape },
    };
  },
  backward: ({ mask, shape }, dy) => ({ x: sumTo(choose(mask, 0, dy, dy.shape, "f32"), shape) }),
});
