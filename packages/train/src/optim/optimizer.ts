import { GpugradError, keep, zerosLike, type Tensor } from "@gpugrad/tensor";

/** Parameters by name, as `model.namedParameters()` gives them. */
export type NamedParameters = Iterable<readonly [name: string, parameter: Tensor]>;

/** Parameters with options of their own. */
export interface ParamGroup<Options> {
  params: NamedParameters;
  options?: Partial<Options>;
}

/** What every optimizer has: a learning rate, and a decay of the weights. */
export interface OptimizerOptions {
  lr: number;
  weightDecay: number;
}

interface Entry<Options> {
  readonly name: string;
  readonly parameter: Tensor;
  readonly own: Partial<Options>;
  readonly state: Record<string, Tensor>;
  /** Steps that this parameter has taken: fewer than the optimizer's where it had no gradient. */
  steps: number;
}

/**
 * What optimizers share: the list of parameters, their state tensors, `lr`, `zeroGrad`. A parameter without a gradient is left
 * alone, as in PyTorch. Everything happens on the device; nothing is read back.
 */
export abstract class Optimizer<Options extends OptimizerOptions> {
  readonly options: Options;
  /** Steps taken so far. */
  steps = 0;
  readonly #entries: Entry<Options>[] = [];

  /** @param stateNames the tensors kept per parameter, all zeros at first; PyTorch's names, as saved in checkpoints */
  constructor(
    params: NamedParameters | readonly ParamGroup<Options>[],
    options: Options,
    stateNames: readonly string[],
  ) {
    this.options = options;
    const seen = new Set<Tensor>();
    for (const { params: named, options: own = {} } of groupsOf<Options>(params)) {
      for (const [name, parameter] of named) {
        if (!parameter.requiresGrad) continue; // frozen
        if (seen.has(parameter)) throw new GpugradError(`${this.constructor.name}: ${name} is given twice.`);
        if (parameter.dtype !== "f32") {
          throw new GpugradError(
            `${this.constructor.name}: ${name} is ${parameter.dtype}; training needs f32: fromPretrained(…, { dtype: "f32" }).`,
          );
        }
        seen.add(parameter);
        const state = Object.fromEntries(stateNames.map((key) => [key, keep(zerosLike(parameter))]));
        this.#entries.push({ name, parameter, own, state, steps: 0 });
      }
    }
    if (this.#entries.length === 0)
      throw new GpugradError(`${this.constructor.name}: no parameter requires a gradient.`);
  }

  /** The learning rate of the next step: schedules set it. Groups with a rate of their own keep it. */
  get lr(): number {
    return this.options.lr;
  }
  set lr(value: number) {
    this.options.lr = value;
  }

  /** The parameters that are optimized. */
  get parameters(): Tensor[] {
    return this.#entries.map((entry) => entry.parameter);
  }

  /** Changes every parameter that has a gradient by one step. */
  step(): void {
    this.steps++;
    for (const entry of this.#entries) {
      const { parameter, own, state } = entry;
      if (!parameter.grad) continue;
      this.update(parameter, parameter.grad, state, { ...this.options, ...own }, ++entry.steps);
      parameter.storage.version++;
    }
  }

  /** One parameter's step, its `step`-th from 1: the formula of the optimizer. */
  protected abstract update(
    parameter: Tensor,
    gradient: Tensor,
    state: Record<string, Tensor>,
    options: Options,
    step: number,
  ): void;

  /** Forgets the gradients, so that the next backward begins at nothing. */
  zeroGrad(): void {
    for (const { parameter } of this.#entries) {
      parameter.grad?.dispose();
      parameter.grad = null;
    }
  }

  /** State tensors as `exp_avg.<parameter>` and so on, in PyTorch's names. The tensors stay the optimizer's. */
  state(): Map<string, Tensor> {
    return new Map(
      this.#entries.flatMap(({ name, state }) => Object.entries(state).map(([key, t]) => [`${key}.${name}`, t])),
    );
  }

  /** Gives the state's memory back. */
  dispose(): void {
    for (const { state } of this.#entries)
      for (const tensor of Object.values(state)) if (!tensor.disposed) tensor.dispose();
  }
}

function groupsOf<Options>(params: NamedParameters | readonly ParamGroup<Options>[]): readonly ParamGroup<Options>[] {
  if (Array.isArray(params) && params.length > 0 && "params" in (params[0] as object)) {
    return params as readonly ParamGroup<Options>[];
  }
  return [{ params: params as NamedParameters }];
}

/** Names that Hugging Face's Trainer does not decay: biases, and the weights of layer norms. */
const NO_DECAY = /(^|\.)bias$|LayerNorm|layer_norm|layernorm/;

/**
 * Two groups, as Hugging Face's Trainer makes them: weight decay on all but biases and layer norms; embeddings do decay.
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/trainer.py (get_decay_parameter_names)
 */
export function noDecayGroups(params: NamedParameters): ParamGroup<OptimizerOptions>[] {
  const all = [...params];
  return [
    { params: all.filter(([name]) => !NO_DECAY.test(name)) },
    { params: all.filter(([name]) => NO_DECAY.test(name)), options: { weightDecay: 0 } },
  ].filter((group) => group.params.length > 0);
}
