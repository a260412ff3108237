import { isHalf } from "./dtype.ts";
import { defineStorageOp, type Definition, type Op } from "./op.ts";
import { cast } from "./ops/cast/cast.ts";
import { Tensor } from "./tensor.ts";

type Inputs = Record<string, Tensor | undefined>;

/**
 * Makes an op (see `op.ts`) that computes in f32 whatever floats it is given: arguments of sixteen bits are widened first, by a
 * recorded cast, so that their gradients come back too.
 */
export function defineOp<A extends readonly unknown[], I extends Inputs, S, O extends Tensor | readonly Tensor[]>(
  name: string,
  definition: Definition<A, I, S, O>,
): Op<A, I, S, O> {
  const op = defineStorageOp(name, definition);
  const call = (...args: A): O => op(...(args.map(widen) as unknown as A));
  return Object.assign(call, { opName: name, definition });
}

function widen(argument: unknown): unknown {
  if (argument instanceof Tensor) return isHalf(argument.dtype) ? cast(argument, "f32") : argument;
  return Array.isArray(argument) ? argument.map(widen) : argument;
}
