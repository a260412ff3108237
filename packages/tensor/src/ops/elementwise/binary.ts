import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { notDifferentiable, type Op } from "../../op.ts";
import { broadcastShapes, sameShape, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { sumTo } from "../reduce/sum.ts";
import { applyBinary, applyUnary, type BinaryFunction, type Operand } from "./apply.ts";
import { choose } from "./choose.ts";
import { differentiable, inDType, promote, shapeOf } from "./promote.ts";

// Operands are tensors or numbers, at least one of them a tensor, and are broadcast to each other. They meet in one dtype: f32 if
// any is a float, then i32, u32, bool (see promote.ts). div and pow always compute in f32.

/** Bool has no arithmetic of its own: these functions take its place, as in PyTorch. */
const onBool: Partial<Record<BinaryFunction, BinaryFunction>> = {
  add: "logical_or",
  mul: "logical_and",
  maximum: "logical_or",
  minimum: "logical_and",
};

function forward(op: BinaryFunction, a: Operand, b: Operand): Tensor {
  check(
    typeof a !== "number" || typeof b !== "number",
    () => `${op}: two numbers (${String(a)}, ${String(b)}). One operand has to be a tensor.`,
  );
  const shape = broadcastShapes(op, shapeOf(a), shapeOf(b));
  const dtype = op === "div" || op === "pow" ? "f32" : promote([a, b]);
  check(!(dtype === "bool" && op === "sub"), "sub: both are bool. Use ne(), logicalAnd() or cast(x, 'i32').");
  const fn = dtype === "bool" ? (onBool[op] ?? op) : op;
  return applyBinary(fn, inDType(a, dtype), inDType(b, dtype), shape, dtype);
}

/** fn(a, b) in f32, for gradients. */
function f32(fn: BinaryFunction, a: Operand, b: Operand): Tensor {
  const shape = broadcastShapes(fn, shapeOf(a), shapeOf(b));
  return applyBinary(fn, inDType(a, "f32"), inDType(b, "f32"), shape, "f32");
}

const both = (p: Tensor, q: Tensor): Tensor =>
  applyBinary("logical_and", p, q, broadcastShapes("logical_and", p.shape, q.shape), "bool");

/** What gradients may need; ops save only what theirs do. */
interface Saved {
  a: Operand;
  b: Operand;
  y: Tensor;
}

/** A gradient in dy's shape. */
type Gradient = (dy: Tensor, saved: Saved) => Tensor;

interface Kept {
  values: Partial<Saved>;
  aShape: Shape | undefined;
  bShape: Shape | undefined;
}

const operands = { a: "operand", b: "operand" } as const;

/** An op of two operands. */
type BinaryOp = Op<[a: Operand, b: Operand], { a: Tensor | undefined; b: Tensor | undefined }, Kept, Tensor>;

/** An op that saves what `saves` lists, and makes the gradients of it; where an operand was broadcast, they are summed. */
/* @__NO_SIDE_EFFECTS__ */
function define(op: BinaryFunction, saves: readonly (keyof Saved)[], da: Gradient, db: Gradient): BinaryOp {
  return defineOp(op, {
    takes: operands,
    forward(a: Operand, b: Operand) {
      const all: Saved = { a, b, y: forward(op, a, b) };
      const values: Partial<Saved> = Object.fromEntries(saves.map((k) => [k, all[k]]));
      const inputs = { a: differentiable(a), b: differentiable(b) };
      return { output: all.y, inputs, saved: { values, aShape: inputs.a?.shape, bShape: inputs.b?.shape } };
    },
    backward({ values, aShape, bShape }: Kept, dy, needs) {
      const saved = values as Saved;
      return {
        a: needs.a && aShape ? sumTo(da(dy, saved), aShape) : undefined,
        b: needs.b && bShape ? sumTo(db(dy, saved), bShape) : undefined,
      };
    },
  });
}

const negative = (x: Tensor): Tensor => applyUnary("neg", x);

const same = (dy: Tensor): Tensor => dy;

/** a + b. */
export const add = define("add", [], same, same);

/** a − b. */
export const sub = define("sub", [], (dy) => dy, negative);

/** a · b. */
export const mul = defineOp("mul", {
  takes: operands,
  forward: (a: Operand, b: Operand) => ({
    output: forward("mul", a, b),
    inputs: { a: differentiable(a), b: differentiable(b) },
    saved: { a, b },
  }),
  backward({ a, b }, dy, needs) {
    // The product with dy is summed as it is formed, unless the other operand is broadcast itself.
    const gradient = (x: Operand, other: Operand): Tensor =>
      typeof other !== "number" && sameShape(other.shape, dy.shape)
        ? sumTo(dy, shapeOf(x), inDType(other, "f32"))
        : sumTo(f32("mul", dy, other), shapeOf(x));
    return { a: needs.a ? gradient(a, b) : undefined, b: needs.b ? gradient(b, a) : undefined };
  },
});

/** a / b, in f32 also for whole numbers. da = dy / b, db = −(dy / b) (a / b). */
export const div = define(
  "div",
  ["b", "y"],
  (dy, { b }) => f32("div", dy, b),
  (dy, { b, y }) => negative(f32("mul", f32("div", dy, b), y)),
);

/**
 * aᵇ in f32, by C's rules: 0⁰ = 1; a negative base takes whole exponents only, else NaN. da = dy b aᵇ⁻¹, 0 where b = 0;
 * db = dy aᵇ ln a, 0 where a = 0 and b ≥ 0.
 */
export const pow = define(
  "pow",
  ["a", "b", "y"],
  (dy, { a, b }) => {
    if (b === 0) return f32("mul", dy, 0);
    const slope = f32("mul", f32("pow", a, typeof b === "number" ? b - 1 : f32("sub", b, 1)), b);
    const da = f32("mul", dy, slope);
    return typeof b === "number" ? da : choose(f32("eq", b, 0), 0, da, dy.shape, "f32");
  },
  (dy, { a, b, y }) => {
    const logarithm = typeof a === "number" ? Math.log(a) : applyUnary("log", inDType(a, "f32"));
    const db = f32("mul", dy, f32("mul", y, logarithm));
    if (typeof a === "number" && a !== 0) return db;
    const upward = f32("ge", b, 0);
    const flat = typeof a === "number" ? upward : both(f32("eq", a, 0), upward);
    return choose(flat, 0, db, dy.shape, "f32");
  },
);

/** The larger of a and b; NaN if either is. Where they are equal, each gets half the gradient. */
export const maximum = define(
  "maximum",
  ["a", "b"],
  (dy, { a, b }) => f32("mul", dy, f32("share_of_max", a, b)),
  (dy, { a, b }) => f32("mul", dy, f32("share_of_max", b, a)),
);

/** The smaller of a and b; NaN if either is. Where they are equal, each gets half the gradient. */
export const minimum = define(
  "minimum",
  ["a", "b"],
  (dy, { a, b }) => f32("mul", dy, f32("share_of_max", b, a)),
  (dy, { a, b }) => f32("mul", dy, f32("share_of_max", a, b)),
);

/** A remainder of division: db is minus the quotient that it belongs to, a whole number. */
const defineRemainder = (op: "remainder" | "fmod"): BinaryOp =>
  define(op, ["a", "b", "y"], same, (dy, { a, b, y }) => {
    const quotient = applyUnary("round", f32("div", f32("sub", a, y), b));
    return negative(f32("mul", dy, quotient));
  });

/**
 * a − b ⌊a / b⌋, which has b's sign, as Python's %; NaN where b is 0, of whole numbers 0. da = dy, db = −dy ⌊a / b⌋.
 * `fmod` has a's sign.
 */
export const remainder = defineRemainder("remainder");

/** a − b trunc(a / b), which has a's sign, as JavaScript's %; NaN where b is 0, of whole numbers 0. */
export const fmod = defineRemainder("fmod");

/** An op whose result is true or false, constant in its operands. */
/* @__NO_SIDE_EFFECTS__ */
function defineComparison(op: BinaryFunction) {
  return defineOp(op === "logical_and" ? "logicalAnd" : op === "logical_or" ? "logicalOr" : op, {
    takes: operands,
    forward: (a: Operand, b: Operand) => ({ output: forward(op, a, b), inputs: {}, saved: {} }),
    backward: notDifferentiable("its result is true or false"),
  });
}

/** a = b: bool. */
export const eq = defineComparison("eq");
/** a ≠ b: bool. */
export const ne = defineComparison("ne");
/** a < b: bool. */
export const lt = defineComparison("lt");
/** a ≤ b: bool. */
export const le = defineComparison("le");
/** a > b: bool. */
export const gt = defineComparison("gt");
/** a ≥ b: bool. */
export const ge = defineComparison("ge");
/** Whether a and b are both true (not 0): bool. */
export const logicalAnd = defineComparison("logical_and");
/** Whether a or b is true (not 0): bool. */
export const logicalOr = defineComparison("logical_or");
