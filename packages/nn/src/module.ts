import { argumentCheck, check, Tensor } from "@gpugrad/tensor";
import { setValue } from "./parameter.ts";
import { matchState, type LoadResult } from "./state.ts";

const checkTrain = argumentCheck("train", { mode: "boolean" });
const checkLoadStateDict = argumentCheck("loadStateDict", { state: "named tensors", options: { strict: "boolean?" } });

/**
 * A part of a model. Its parameters and parts are plain properties, so that the path to a tensor is its key in a checkpoint:
 * `layers.0.self_attn.out_proj.weight`.
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

  /** This part under "", and all parts below it by their paths, each before its own parts. */
  *namedModules(path = ""): Generator<[path: string, module: Module]> {
    yield [path, this];
    for (const [name, child] of this.children()) yield* child.namedModules(path ? `${path}.${name}` : name);
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
  *namedTensors(): Generator<[name: string, parameter: Tensor]> {
    for (const [path, module] of this.namedModules())
      for (const [name, tensor] of module.ownTensors()) yield [path ? `${path}.${name}` : name, tensor];
  }

  /** The tensors of this part alone, by property name. */
  *ownTensors(): Generator<[name: string, parameter: Tensor]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Tensor) yield [name, value];
  }

  /** All parameters, each once: see {@link namedParameters}. */
  parameters(): Tensor[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter);
  }

  /** The parameters by key, as they are: not copies. Tied ones come under each of their keys, as in PyTorch. */
  stateDict(): Map<string, Tensor> {
    return new Map(this.namedTensors());
  }

  /**
   * Copies values into the parameters of these keys, converted to their dtypes.
   *
   * @param state such as another module's {@link stateDict}
   * @param options.strict whether a key that is missing, or of no parameter, is an error (true unless said otherwise)
   * @throws {@link GpugradError} naming such keys, and parameters of another shape; no parameter is changed then
   */
  loadStateDict(state: Iterable<readonly [string, Tensor]>, options: { strict?: boolean } = {}): LoadResult {
    checkLoadStateDict([state, options]);
    const { strict = true } = options;
    const values = new Map(state);
    const { found, ...result } = matchState(
      `loadStateDict: ${this.constructor.name}`,
      [...this.namedTensors()],
      values,
      strict,
    );
    for (const [key, parameter] of found) setValue(parameter, () => values.get(key)!);
    return result;
  }

  /** Number of trainable numbers. */
  numParameters(): number {
    return this.parameters().reduce((sum, p) => sum + p.size, 0);
  }

  /** Training mode: dropout drops. */
  train(mode = true): this {
    checkTrain([mode]);
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

  /** Tensors that this part alone holds beside its parameters, made by `constant()`: no checkpoint has them, and nothing trains them. */
  *ownConstants(): Generator<Tensor> {
    // most parts have none
  }

  /** Gives the memory of all parameters and constants back. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
    for (const [, part] of this.namedModules()) for (const constant of part.ownConstants()) constant.dispose();
  }
}
