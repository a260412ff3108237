import "@gpugrad/autograd"; // what parameters take part in is recorded
import {
  argumentCheck,
  cast,
  check,
  copyInto,
  empty,
  fill,
  keep,
  scope,
  type Shape,
  type Tensor,
} from "@gpugrad/tensor";

/** Gives a parameter, in place, the values that it begins with: see `initializers`. */
export type Initializer = (parameter: Tensor) => void;

/** Initializers that can be given by name. */
const named = {
  zeros: (parameter: Tensor): void => fill(parameter, 0),
  ones: (parameter: Tensor): void => fill(parameter, 1),
} satisfies Record<string, Initializer>;

const initializers = new WeakMap<Tensor, Initializer>();

/** How parameters are made whose values come later. */
export interface Deferred {
  dtype?: "f32" | "f16" | "bf16";
  /** Called before each is made, with the elements of all so far, and its shape: to refuse what is too large. */
  onParameter?: (elements: number, shape: Shape) => void;
}
let deferred: (Deferred & { made: Tensor[]; elements: number }) | undefined;

/**
 * Runs `work` so that the parameters which it makes get no values yet: a checkpoint will fill them, or {@link initialize}. No random
 * numbers are drawn.
 *
 * @throws what `work` throws; the parameters are disposed then
 */
export function withoutValues<T>(options: Deferred, work: () => T): T {
  const before = deferred;
  const current = { ...options, made: [] as Tensor[], elements: 0 };
  deferred = current;
  try {
    return work();
  } catch (error) {
    for (const parameter of current.made) parameter.dispose();
    throw error;
  } finally {
    deferred = before;
  }
}

const checkParameter = argumentCheck("parameter", { shape: "shape", initializer: "any" });

/**
 * A trainable tensor that is kept until it is disposed. It begins with the values that `initializer` gives it, a function or the name of one; inside of
 * {@link withoutValues} they are still to come.
 */
export function parameter(shape: Shape, initializer: Initializer | keyof typeof named): Tensor {
  checkParameter([shape, initializer]);
  const begin = typeof initializer === "function" ? initializer : named[initializer];
  check(begin, () => `parameter: initializer is ${String(initializer)}; it has to be a function, "zeros" or "ones".`);
  if (deferred) {
    deferred.elements += shape.reduce((a, b) => a * b, 1);
    deferred.onParameter?.(deferred.elements, shape);
  }
  const made = keep(empty(shape, deferred?.dtype ?? "f32"), "parameters");
  deferred?.made.push(made);
  beginWith(made, begin);
  made.requiresGrad = true;
  return made;
}

/**
 * A tensor that a module holds beside its parameters, such as a table that follows from its sizes: kept until the module is disposed.
 * The module names it in `ownConstants`.
 */
export function constant(tensor: Tensor): Tensor {
  deferred?.made.push(tensor);
  return keep(tensor, "constants");
}

/** Changes how a parameter begins, where a layer begins otherwise inside of another. */
export function beginWith(parameter: Tensor, initializer: Initializer): void {
  initializers.set(parameter, initializer);
  if (!deferred) initializer(parameter);
}

/** Gives a parameter the values that it begins with, once more. */
export const initialize = (parameter: Tensor): void => initializers.get(parameter)?.(parameter);

/** Gives a parameter the values of a tensor of its shape, in its own dtype. */
export function setValue(parameter: Tensor, valueOf: () => Tensor): void {
  scope(() => {
    const value = valueOf().detach();
    copyInto(parameter, value.dtype === parameter.dtype ? value : cast(value, parameter.dtype));
  });
}
