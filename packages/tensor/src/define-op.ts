import { isHalf } from "./dtype.ts";
import { defineStorageOp, type Definition, type Op } from "./op.ts";
import { cast } from "./ops/cast/cast.ts";
import { forEachTensor, scopeNow } from "./scope.ts";
import { Tensor } from "./tensor.ts";

type Inputs = Record<string, Tensor | undefined>;

/**
 * Makes an op (see `op.ts`) that computes in f32 whatever floats it is given: arguments of sixteen bits are widened first, by a
 * recorded cast, so that their gradients come back too.
 */
/* @__NO_SIDE_EFFECTS__ */
export function defineOp<A extends readonly unknown[], I extends Inputs, S, O extends Tensor | readonly Tensor[]>(
  name: string,
  definition: Definition<A, I, S, O>,
): Op<A, I, S, O> {
  const op = defineStorageOp(name, definition);
  const call = (...args: A): O =>
    args.some(holdsHalf) ? scopeNow(() => op(...(args.map(widen) as unknown as A))) : op(...args);
  return Object.assign(call, { opName: name, definition });
}

/** Whether an argument is a tensor of sixteen bits, or holds one in an array or among its options. */
function holdsHalf(argument: unknown): boolean {
  let found = false;
  forEachTensor(argument, (tensor) => (found ||= isHalf(tensor.dtype)));
  return found;
}

function widen(argument: unknown): unknown {
  if (argument instanceof Tensor) return isHalf(argument.dtype) ? cast(argument, "f32") : argument;
  if (Array.isArray(argument)) return argument.map(widen);
  if (typeof argument !== "object" || argument === null || Object.getPrototypeOf(argument) !== Object.prototype) {
    return argument;
  }
  return Object.fromEntries(Object.entries(argument).map(([key, value]) => [key, widen(value)]));
}
