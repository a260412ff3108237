import { defineOp } from "../../define-op.ts";
import { isFloat, type DType } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { broadcastShapes } from "../../shape.ts";
import { Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { sumTo } from "../reduce/sum.ts";
import { applyBinary, applyUnary, type BinaryFunction, type Operand } from "./apply.ts";

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

const inDType = (x: Operand, dtype: DType): Operand =>
  typeof x === "number" || x.dtype === dtype ? x : cast(x, dtype);

/** What a gradient can flow to. */
const differentiable = (x: Operand): Tensor | undefined => (typeof x !== "number" && isFloat(x.dtype) ? x : undefined);

const shapeOf = (x: Operand): readonly number[] => (typeof x === "number" ? [] : x.shape);

/** Bool has no arithmetic of its own: these functions stand for it, as in PyTorch. */
const onBool: Partial<Record<BinaryFunction, BinaryFunction>> = {
  add: "logical_or",
  mul: "logical_and",
  maximum: "logical_or",
  minimum: "logical_and",
};

/** f(a, b) with broadcasting, in the dtype that both promote to. */
function forward(op: BinaryFunction, a: Operand, b: Operand) {
  check(
    a instanceof Tensor || b instanceof Tensor,
    () => `${op}: two numbers (${String(a)}, ${String(b)}). One operand has to be a tensor.`,
  );
  const shape = broadcastShapes(op, shapeOf(a), shapeOf(b));
  const common = promote([a, b]);
  const dtype = op === "div" || op === "pow" ? "f32" : common;
  const fn = dtype === "bool" ? (onBool[op] ?? op) : op;
  check(!(dtype === "bool" && fn === "sub"), "sub: both are bool. Use logicalAnd, ne or cast(x, 'i32').");
  return applyBinary(fn, inDType(a, dtype), inDType(b, dtype), shape, dtype);
}

/** f(x, y) in the shape that both broadcast to, for gradients. */
function f32(fn: BinaryFunction, a: Operand, b: Operand): Tensor {
  return applyBinary(fn, a, b, broadcastShapes(fn, shapeOf(a), shapeOf(b)), "f32");
}

type Saved = { a: Operand; b: Operand; y: Tensor };

/** `da` and `db` give the gradients in dy's shape; where an operand was broadcast, they are summed. */
function define(
  op: BinaryFunction,
  da: (dy: Tensor, saved: Saved) => Tensor,
  db: (dy: Tensor, saved: Saved) => Tensor,
  saves: (saved: Saved) => Partial<Saved> = (saved) => saved,
) {
  return defineOp(op, {
    forward(a: Operand, b: Operand) {
      const y = forward(op, a, b);
      const saved = { ...saves({ a, b, y }), shapes: [shapeOf(a), shapeOf(b)] as const };
      return { output: y, inputs: { a: differentiable(a), b: differentiable(b) }, saved };
    },
    backward(saved, dy, needs) {
      const [aShape, bShape] = saved.shapes;
      const values = saved as unknown as Saved;
      return {
        a: needs.a ? sumTo(da(dy, values), aShape) : undefined,
        b: needs.b ? sumTo(db(dy, values), bShape) : undefined,
      };
    },
  });
}

const nothing = () => ({});
const operands = ({ a, b }: Saved) => ({ a, b });
const asF32 = (x: Operand): Operand => inDType(x, "f32");

/** a + b, with broadcasting; operands are tensors or numbers. */
export const add = define(
  "add",
  (dy) => dy,
  (dy) => dy,
  nothing,
);

/** a · b, with broadcasting; operands are tensors or numbers. */
export const mul = define(
  "mul",
  (dy, { b }) => f32("mul", dy, asF32(b)),
  (dy, { a }) => f32("mul", dy, asF32(a)),
  operands,
);
void applyUnary;
