import "@gpugrad/autograd"; // what parameters take part in is recorded
import { empty, keep, ones, randn, Tensor, zeros, type Shape } from "@gpugrad/tensor";

/** How a parameter begins: Hugging Face's rules for BERT. */
export type Init = "normal" | "zeros" | "ones";

const inits = new WeakMap<Tensor, Init>();
let parameterDtype: "f32" | "f16" | "bf16" = "f32";

/** Parameters made in `work` are kept in `dtype`. */
export function withParameterDtype<T>(dtype: "f32" | "f16" | "bf16", work: () => T): T {
  const before = parameterDtype;
  parameterDtype = dtype;
  try {
    return work();
  } finally {
    parameterDtype = before;
  }
}

/** A parameter whose values are still to come: from a checkpoint, or from {@link initialize}. */
export function parameter(shape: Shape, init: Init): Tensor {
  const made = keep(empty(shape, parameterDtype), "parameters");
  made.requiresGrad = true;
  inits.set(made, init);
  return made;
}

/** The rule by which `parameter` begins. */
export const initOf = (parameter: Tensor): Init => inits.get(parameter) ?? "normal";

/** A tensor for a parameter to begin with: N(0, std²), zeros or ones. */
export function initialValue(shape: Shape, init: Init, std: number): Tensor {
  return init === "normal" ? randn(shape, { std }) : init === "ones" ? ones(shape) : zeros(shape);
}

/**
 * A part of a model. Its parameters and parts are plain properties, spelled as in Hugging Face's checkpoints, so that the path to a
 * tensor is its key in the file: `encoder.layer.0.attention.self.query.weight`.
 */
export abstract class Module {
  /** Whether dropout drops. Set by `train()` and `eval()` for all parts at once. */
  training = false;

  /** The parts of this part by property name; the entries of arrays by number. */
  *children(): Generator<[name: string, child: Module]> {
    for (const [key, value] of Object.entries(this)) {
      if (value instanceof Module) yield [key, value];
      else if (Array.isArray(value)) {
        for (const [i, entry] of value.entries()) if (entry instanceof Module) yield [`${key}.${i}`, entry];
      }
    }
  }

  /** All parameters with their keys. One that is tied to another comes once, under the first of its keys. */
  *namedParameters(): Generator<[name: string, parameter: Tensor]> {
    const seen = new Set<Tensor>();
    for (const [name, parameter] of this.namedTensors()) {
      if (seen.has(parameter)) continue;
      seen.add(parameter);
      yield [name, parameter];
    }
  }

  /** All keys of a checkpoint with their tensors: tied ones under each of their keys. */
  *namedTensors(prefix = ""): Generator<[name: string, parameter: Tensor]> {
    for (const [key, value] of Object.entries(this)) if (value instanceof Tensor) yield [prefix + key, value];
    for (const [name, child] of this.children()) yield* child.namedTensors(`${prefix}${name}.`);
  }

  parameters(): Tensor[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter);
  }

  /** Number of trainable numbers. */
  numParameters(): number {
    return this.parameters().reduce((sum, p) => sum + p.size, 0);
  }

  /** Training mode: dropout drops. */
  train(mode = true): this {
    this.training = mode;
    for (const [, child] of this.children()) child.train(mode);
    return this;
  }

  /** Evaluation mode: dropout does nothing. */
  eval(): this {
    return this.train(false);
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) {
      parameter.grad?.dispose();
      parameter.grad = null;
    }
  }

  /** Gives the memory of all parameters back. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
  }
}
