import { isFloat, type DType } from "../../dtype.ts";
import type { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import type { Operand } from "./apply.ts";

/**
 * The dtype in which operands meet: f32 if any is a float, then i32, u32, bool. A number takes part only by its kind: a fraction
 * makes f32 of whole numbers, a whole number makes i32 of bool, a negative one i32 of u32.
 */
export function promote(operands: readonly Operand[]): DType {
  const dtypes = operands.flatMap((x): DType[] => (typeof x === "number" ? [] : [isFloat(x.dtype) ? "f32" : x.dtype]));
  const numbers = operands.filter((x) => typeof x === "number");
  if (dtypes.includes("f32") || !numbers.every(Number.isInteger)) return "f32";
  if (dtypes.includes("i32") || numbers.some((n) => n < 0)) return "i32";
  if (dtypes.includes("u32")) return "u32";
  return numbers.length > 0 ? "i32" : "bool";
}

/** `x` in `dtype`; a number stays one. */
export const inDType = <T extends Operand>(x: T, dtype: DType): T =>
  typeof x === "number" || x.dtype === dtype ? x : (cast(x, dtype) as T);

/** `x` if it is a tensor: a gradient may flow to it. */
export const differentiable = (x: Operand): Tensor | undefined => (typeof x === "number" ? undefined : x);

/** A number is a scalar. */
export const shapeOf = (x: Operand): readonly number[] => (typeof x === "number" ? [] : x.shape);
