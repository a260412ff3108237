import { argumentCheck, checked } from "./arguments.ts";
import { GpugradError } from "./errors.ts";
import type { Tensor } from "./tensor.ts";
import { isTensor } from "./values.ts";

type Scope = Set<Tensor>;

const stack: Scope[] = [];
const home = new WeakMap<Tensor, Scope>();

/** A new tensor belongs to the innermost scope. */
export function enterScope(tensor: Tensor): void {
  const scope = stack.at(-1);
  if (!scope) return;
  scope.add(tensor);
  home.set(tensor, scope);
}

export function leaveScope(tensor: Tensor): void {
  home.get(tensor)?.delete(tensor);
  home.delete(tensor);
}

/**
 * Takes tensors out of every scope: they live until `dispose()`. For parameters, and results that outlive a step.
 * @param owner what it is kept for, as `memoryByOwner()` shall say: `"optimizer state"`
 */
export const keep = checked(
  "keep",
  { tensor: "tensor", owner: "string?" },
  <T extends Tensor>(tensor: T, owner?: string): T => {
    leaveScope(tensor);
    if (owner !== undefined) tensor.storage.owner = owner;
    return tensor;
  },
);

const checkScope = argumentCheck("scope", { work: "function" });

/**
 * Runs `work` and disposes every tensor made in it, but those it returns (in arrays and plain objects too), which move to the
 * scope around it, and those that were kept. Also when `work` throws. Asynchronous work may be scoped as well; scopes then have
 * to end in the order in which they began, innermost first.
 */
export function scope<T>(work: () => T): T {
  checkScope([work]);
  const scope: Scope = new Set();
  stack.push(scope);
  let result: T;
  try {
    result = work();
  } catch (error) {
    end(scope);
    throw error;
  }
  if (!(result instanceof Promise)) {
    end(scope, result);
    return result;
  }
  return result.then(
    (value: unknown) => {
      end(scope, value);
      return value;
    },
    (error: unknown) => {
      end(scope);
      throw error;
    },
  ) as T;
}

function end(scope: Scope, result?: unknown): void {
  const at = stack.lastIndexOf(scope);
  const inner = stack.length - 1 - at;
  stack.splice(at, 1);
  const kept = new Set<Tensor>();
  forEachTensor(result, (tensor) => kept.add(tensor));
  const outer = stack[at - 1];
  for (const tensor of scope) {
    home.delete(tensor);
    if (!kept.has(tensor)) {
      if (tensor.grad && kept.has(tensor.grad)) tensor.grad = null; // the gradient outlives its leaf
      tensor.dispose();
    } else if (outer) {
      outer.add(tensor);
      home.set(tensor, outer);
    }
  }
  if (inner > 0) {
    throw new GpugradError(
      "scope: an asynchronous scope ended while one that began later is still open. Await one before the other begins.",
    );
  }
}

/** Calls `visit` for each tensor in a value: the value itself, or inside arrays, maps and plain objects. */
export function forEachTensor(value: unknown, visit: (tensor: Tensor) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (isTensor(value)) visit(value);
  else if (Array.isArray(value)) for (const entry of value) forEachTensor(entry, visit);
  else if (value instanceof Map) for (const entry of value.values()) forEachTensor(entry, visit);
  else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const entry of Object.values(value)) forEachTensor(entry, visit);
  }
}
