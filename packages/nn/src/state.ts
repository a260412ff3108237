import { check, GpugradError, showShape, type Shape, type Tensor } from "@gpugrad/tensor";

/** What did not fit, where it may: both lists are empty when loading is strict. */
export interface LoadResult {
  /** Keys of parameters that got no value. */
  missingKeys: string[];
  /** Keys that no parameter has. */
  unexpectedKeys: string[];
}

/**
 * Which of a module's parameters, by their keys, get a value. A tied parameter is not missing when one of its keys is there.
 *
 * @throws {@link GpugradError} when a shape differs; when `strict`, also for missing and unexpected keys
 */
export function matchState(
  owner: string,
  own: readonly [key: string, parameter: Tensor][],
  values: ReadonlyMap<string, { readonly shape: Shape }>,
  strict: boolean,
): LoadResult & { found: [key: string, parameter: Tensor][] } {
  const found = own.filter(([key]) => values.has(key));
  const given = new Set(found.map(([, parameter]) => parameter));
  const known = new Set(own.map(([key]) => key));
  const missingKeys = own.filter(([, parameter]) => !given.has(parameter)).map(([key]) => key);
  const unexpectedKeys = [...values.keys()].filter((key) => !known.has(key));
  for (const [key, parameter] of found) {
    const { shape } = values.get(key)!;
    check(
      shape.join() === parameter.shape.join(),
      () => `${owner}: ${key}: ${showShape(shape)} does not fit the parameter's ${showShape(parameter.shape)}.`,
    );
  }
  if (strict && missingKeys.length + unexpectedKeys.length > 0) {
    const list = (what: string, keys: string[]) => (keys.length > 0 ? ` ${what} ${keys.join(", ")}.` : "");
    throw new GpugradError(
      `${owner}:${list("No value for", missingKeys)}${list("No parameter for", unexpectedKeys)} ` +
        "Pass { strict: false } to load what fits.",
    );
  }
  return { found, missingKeys, unexpectedKeys };
}
