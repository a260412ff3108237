import { hasHooks } from "@gpugrad/autograd";
import { Module } from "@gpugrad/bert";
import { Tensor } from "@gpugrad/tensor";

const ids = new WeakMap<object, number>();
let count = 0;

/** A number for each object: the same one as long as it lives. */
function idOf(object: object): number {
  const known = ids.get(object);
  if (known !== undefined) return known;
  ids.set(object, ++count);
  return count;
}

/**
 * All that a forward and backward of a model reads on the host, as a text: which parts and parameters it has and where these lie, which need a
 * gradient, hooks, its configuration, and every setting that a part keeps in a property (a dropout's p, `gradientCheckpointing`). The
 * mode is left out: an update sets it.
 */
export function fingerprintOf(model: Module & { readonly config?: object }): string {
  const parts: unknown[] = [JSON.stringify(model.config)];
  const visit = (value: unknown): void => {
    if (value instanceof Tensor) parts.push(idOf(value.storage), value.shape, value.requiresGrad, hasHooks(value));
    else if (Array.isArray(value)) for (const entry of value) visit(entry);
    else if (value instanceof Module) {
      parts.push(idOf(value));
      for (const [name, own] of Object.entries(value)) if (name !== "training") visit(own);
    } else if (typeof value === "function" || (typeof value === "object" && value !== null)) parts.push(idOf(value));
    else parts.push(value);
  };
  visit(model);
  return parts.join();
}
