import "@gpugrad/autograd"; // what parameters take part in is recorded
import { check, copyInto, empty, keep, ones, randn, scope, Tensor, zeros, type Shape } from "@gpugrad/tensor";

/** How a parameter of a model begins: Hugging Face's rules for BERT. */
export type Init = "normal" | "zeros" | "ones";

/** BERT's standard deviation of fresh weights. */
const usualStd = 0.02;

const inits = new WeakMap<Tensor, Init>();

/** How the parameters of a model are made whose values are still to come. */
export interface Deferred {
  dtype?: "f32" | "f16" | "bf16";
  /** Elements that all of them may have. */
  maxElements?: number;
}
let deferred: (Deferred & { made: Tensor[]; elements: number }) | undefined;

/**
 * Makes a model without values for its parameters: from a checkpoint, or an initialization of the model as a whole, they are to come.
 *
 * @throws {@link GpugradError} when the parameters are more than `maxElements`; none is then left
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

/**
 * A parameter that begins as `init` says: N(0, 0.02²), zeros or ones; or with the values of `begin`.
 * While a model is opened or made from a configuration, its values are still to come.
 */
export function parameter(shape: Shape, init: Init, begin = (): Tensor => initialValue(shape, init, usualStd)): Tensor {
  if (deferred) {
    const { maxElements = Infinity } = deferred;
    deferred.elements += shape.reduce((a, b) => a * b, 1);
    check(
      deferred.elements <= maxElements,
      () =>
        `config: its sizes make a model of more than ${maxElements} parameters, far more than the checkpoint has. ` +
        `Does config.json belong to these weights? [${shape.join(", ")}] was too much.`,
    );
  }
  const made = keep(empty(shape, deferred?.dtype ?? "f32"), "parameters");
  if (deferred) deferred.made.push(made);
  else setValue(made, begin);
  made.requiresGrad = true;
  inits.set(made, init);
  return made;
}

/** Gives a parameter the values of a tensor, in its own dtype. */
export function setValue(parameter: Tensor, valueOf: () => Tensor): void {
  scope(() => {
    const value = valueOf();
    copyInto(parameter, parameter.dtype === "f32" ? value : value.to(parameter.dtype));
  });
}

/** Makes one row of a matrix 0. */
export function zeroRow(matrix: Tensor, row: number): void {
  const bytesPerRow = matrix.byteLength / matrix.shape[0]!;
  matrix.writeBytes(new Uint8Array(bytesPerRow), row * bytesPerRow);
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

  /**
   * Puts another module in the place of the part at `path`, such as an adapted `encoder.layer.0.attention.self.query`. Where the part
   * is computed together with others in one kernel, the new one is computed by its own `forward`.
   *
   * @returns the part that was there; its parameters are the caller's now
   * @throws {@link GpugradError} when there is no such part
   */
  replace(path: string, module: Module): Module {
    const names = path.split(".");
    const last = names.pop()!;
    const partOf = (parent: unknown, name: string): unknown =>
      typeof parent === "object" && parent !== null && Object.hasOwn(parent, name)
        ? (parent as Record<string, unknown>)[name]
        : undefined;
    const parent = names.reduce<unknown>(partOf, this);
    const replaced = partOf(parent, last);
    check(replaced instanceof Module, () => `replace: ${this.constructor.name} has no part "${path}".`);
    (parent as Record<string, Module>)[last] = module.train(this.training);
    return replaced;
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
