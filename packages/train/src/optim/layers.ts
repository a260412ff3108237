import { checkOptions, GpugradError, showValue, type Tensor } from "@gpugrad/tensor";
import { distance } from "fastest-levenshtein";
import { checkedParameters } from "./check.ts";
import type { NamedParameters, OptimizerOptions, ParamGroup } from "./groups.ts";

/** What {@link layerwiseLrDecay} takes. */
export interface LayerwiseLrDecayOptions {
  /** Each layer learns at this times the rate of the one above it: 0.95 is mild, 0.65 strong. */
  decay: number;
}

/**
 * Groups of parameters whose rates fall from the top of the model to the bottom: the head (classifier, pooler) learns at the optimizer's
 * rate, the last of N layers at `decay` times it, the first at decayᴺ, embeddings at decayᴺ⁺¹. All follow the schedule.
 *
 * ```ts
 * const groups = noDecayGroups(layerwiseLrDecay(model.namedParameters(), { decay: 0.9 }));
 * const optimizer = new AdamW(groups, { lr: 5e-5, weightDecay: 0.01 });
 * ```
 * @throws when no parameter is one of a layer or of embeddings
 * @see https://arxiv.org/abs/1801.06146 (discriminative fine-tuning)
 */
export function layerwiseLrDecay(
  params: NamedParameters,
  options: LayerwiseLrDecayOptions,
): ParamGroup<OptimizerOptions>[] {
  checkOptions("layerwiseLrDecay", options, { decay: "number" });
  const { decay } = options;
  if (!(decay > 0 && decay <= 1))
    throw new GpugradError(`layerwiseLrDecay: decay is ${decay}, but it lies above 0 and up to 1 (1: none).`);
  const all = checkedParameters("layerwiseLrDecay", params);
  const layerOf = (name: string): number | undefined => {
    const layer = /(?:^|\.)layer\.(\d+)\./.exec(name);
    return layer ? Number(layer[1]) : undefined;
  };
  const layers = 1 + Math.max(-1, ...all.map(([name]) => layerOf(name) ?? -1));
  const isEmbedding = (name: string): boolean => /(^|\.)embeddings\./.test(name);
  if (layers === 0 && !all.some(([name]) => isEmbedding(name))) {
    throw new GpugradError(
      `layerwiseLrDecay: none of the parameters (${all[0]?.[0]}, …) is of an encoder's layer ` +
        `("layer.0.") or of embeddings ("embeddings."). Make groups of your own, with lrScale.`,
    );
  }
  const groups = new Map<number, [string, Tensor][]>();
  for (const [name, parameter] of all) {
    const below = isEmbedding(name) ? layers + 1 : layers - (layerOf(name) ?? layers);
    groups.set(below, [...(groups.get(below) ?? []), [name, parameter]]);
  }
  return Array.from(groups, ([below, params]) => ({ params, options: { lrScale: decay ** below } }));
}

/**
 * Freezes parameters: they need no gradient, none is computed, and optimizers that are made afterwards leave them alone. Patterns are names
 * of parameters, or of modules for all that is in them, with `*` for any text, `?` for a character, `[0-5]` for one of some, and
 * `{10,11}` for either; `/…/` is a regular expression. Returns the names of what is frozen.
 *
 * ```ts
 * freeze(model, ["bert.embeddings", "bert.encoder.layer.[0-5]"]);
 * freeze(model, ["*.LayerNorm.*", "/query|key/"]);
 * ```
 * @throws when a pattern fits no parameter: with the names that are most like it
 */
export function freeze(
  model: { namedParameters(): NamedParameters },
  patterns: readonly (string | RegExp)[],
): string[] {
  if (!Array.isArray(patterns) || !patterns.every((p) => typeof p === "string" || p instanceof RegExp)) {
    throw new GpugradError(
      `freeze: the patterns are ${showValue(patterns)}, not a list of texts and regular expressions such as ["bert.embeddings"].`,
    );
  }
  const all = [...model.namedParameters()];
  const frozen = new Map<string, Tensor>();
  for (const pattern of patterns) {
    const fits = typeof pattern === "string" ? expressionOf(pattern) : pattern;
    const found = all.filter(([name]) => name.search(fits) >= 0);
    if (found.length === 0) {
      const near = nearNames(String(pattern), all.map(([name]) => name)).join(", "); // prettier-ignore
      throw new GpugradError(`freeze: ${pattern} fits no parameter. Most like it: ${near}.`);
    }
    for (const [name, parameter] of found) frozen.set(name, parameter);
  }
  for (const parameter of frozen.values()) {
    parameter.requiresGrad = false;
    parameter.grad?.dispose();
    parameter.grad = null;
  }
  return all.flatMap(([name]) => (frozen.has(name) ? name : []));
}

function expressionOf(pattern: string): RegExp {
  const regular = /^\/(.*)\/$/.exec(pattern);
  if (regular) return new RegExp(regular[1]!);
  const source = pattern
    .replace(/[.+^$()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".")
    .replace(/\{([^}]*)\}/g, (_, either: string) => `(?:${either.replaceAll(",", "|")})`);

  return new RegExp(`^${source}(?:\\..*)?$`);
}

/** The three names of parameters and modules that are most like `pattern`. */
function nearNames(pattern: string, names: readonly string[]): string[] {
  const modules = names.flatMap((name) => name.split(".").map((_, i, parts) => parts.slice(0, i + 1).join(".")));
  const bare = pattern.replace(/^\/|\/$|[.*]+$/g, "");
  return [...new Set(modules)].sort((a, b) => distance(a, bare) - distance(b, bare)).slice(0, 3);
}
