import { isFloat } from "../../dtype.ts";
import { defineOp } from "../../define-op.ts";
import { constantOf, kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { notDifferentiable } from "../../op.ts";
import code from "./predicate.wgsl";

const predicateKernel = kernel("ops/elementwise/predicate.wgsl", code);

/** @param name of one of the questions of predicate.wgsl */
/* @__NO_SIDE_EFFECTS__ */
function define(name: "isnan" | "isinf" | "isfinite" | "logical_not") {
  return defineOp(name === "logical_not" ? "logicalNot" : name, {
    takes: { x: "tensor" },
    forward(x: Tensor) {
      const y = empty(x.shape, "bool");
      const vectors = ceilDiv(x.size, 4);
      const overrides = { FN: constantOf(predicateKernel, name), FLOAT: Number(isFloat(x.dtype)) };
      run(predicateKernel, { x, y }, { vectors }, { threads: vectors, overrides });
      return { output: y, inputs: {}, saved: {} };
    },
    backward: notDifferentiable("its result is true or false"),
  });
}

/** Whether each element is NaN: bool of x's shape. */
export const isnan = define("isnan");

/** Whether each element is ∞ or −∞: bool of x's shape. */
export const isinf = define("isinf");

/** Whether each element is neither NaN nor infinite: bool of x's shape. */
export const isfinite = define("isfinite");

/** Whether each element is 0 or false: bool of x's shape. */
export const logicalNot = define("logical_not");
