import {
  atEachReplay,
  checkOptions,
  fromArray,
  GpugradError,
  keep,
  kernel,
  ones,
  run,
  sizeOf,
  zeros,
  type Shape,
  type Tensor,
} from "@gpugrad/tensor";
import { checkedParameters, checkGroup, checkRanges, checkRules, type OptionRules } from "./check.ts";
import clockCode from "./clock.wgsl";
import { groupsOf, type NamedParameters, type OptimizerOptions, type ParamGroup } from "./groups.ts";
import {
  bytesOf,
  checkSameState,
  tensorAt,
  type OptimizerState,
  type Piece,
  type StateTensor,
} from "./optimizer-state.ts";

const clockKernel = kernel("train/optim/clock.wgsl", clockCode);

/** What `memoryByOwner()` calls what is kept here. */
const OWNER = "optimizer state";

/** What an optimizer multiplies gradients by while it reads them. The tensors are on the device, and belong to the scope around. */
export interface GradientFactor {
  /** Norm of all gradients together, before clipping: an f32 scalar. */
  readonly norm: Tensor;
  /** Four f32: the factor; 1, or 0 to leave the step out; 1; 1 (see adamw.wgsl). */
  readonly factor: Tensor;
  /** An f32 scalar, where the device may decide to leave the step out: 1 if a gradient is infinite or NaN, and it does. */
  readonly found?: Tensor;
}

/**
 * Up to this many elements a parameter is small: a dispatch costs more than its work, so several share one. See
 * docs/decisions/optimizer.md.
 */
export const SMALL = 16_384;

/** A parameter that takes part in a step. */
export interface Due<Options> {
  readonly p: Tensor;
  readonly g: Tensor;
  /** Its state tensors by name; for small parameters of an optimizer that takes several at once, where they lie in `moments`. */
  readonly state: Record<string, Tensor> | number;
  readonly options: Options;
  /** Steps that it has taken with this one, from 1. Asked again, with the options, when a recorded step is replayed. */
  readonly now: () => { readonly options: Options; readonly step: number };
  /** Where the clock has its corrections, if it keeps them (see clock.wgsl); 0 where the host knows `step` for certain. */
  readonly record: number;
}

interface Entry<Options> {
  readonly name: string;
  readonly parameter: Tensor;
  readonly own: Partial<Options>;
  /** Shapes of its state tensors by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
  readonly state: Record<string, Tensor> | number;
  readonly record: number;
  /** Steps that this parameter has taken: fewer than the optimizer's where it had no gradient. */
  steps: number;
}

/** What an optimizer keeps. */
interface StateLayout<Options> {
  /** Shapes of the tensors kept for a parameter, all zeros at first; PyTorch's names, as saved in checkpoints. */
  shapesOf: (parameter: Tensor, options: Options) => Record<string, Shape>;
  /** Whether the state of all small parameters lies in one tensor. */
  groupsSmall?: boolean;
  /** What options there are, to check those that are given, also of groups. */
  rules?: OptionRules;
}

/** Vectors of four elements that hold `count`. Buffers are padded, so kernels read and write whole ones. */
export const vectorsOf = (count: number): number => Math.ceil(count / 4);

/**
 * What optimizers share: the list of parameters, their state tensors, `lr`, `zeroGrad`. A parameter without a gradient is left
 * alone, as in PyTorch. Everything happens on the device; nothing is read back.
 */
export abstract class Optimizer<Options extends OptimizerOptions = OptimizerOptions> {
  readonly options: Options;
  /** Steps taken so far. */
  steps = 0;
  readonly #entries: Entry<Options>[] = [];
  /** State of the small parameters, one after the other: each has its first state tensor, then the next, padded to vectors. */
  readonly #moments: Tensor;
  /** Factor 1, a step to take, and no corrections: see adamw.wgsl. */
  readonly #plain: Tensor;
  /** Factor and corrections by parameter (clock.wgsl), once the device has a say in which steps are taken. */
  #clock: Tensor | undefined;

  constructor(
    params: NamedParameters | readonly ParamGroup<Options>[],
    options: Options,
    { shapesOf, groupsSmall = false, rules }: StateLayout<Options>,
  ) {
    const owner = this.constructor.name;
    if (rules) checkRules(owner, options, rules);
    this.options = options;
    const tensors: Tensor[] = [];
    const made = (tensor: Tensor): Tensor => {
      tensors.push(keep(tensor, OWNER));
      return tensor;
    };
    try {
      const seen = new Set<Tensor>();
      let vectors = 0;
      for (const group of groupsOf<Options>(owner, params)) {
        const { params: named, options: given = {} } = group;
        checkGroup(owner, group);
        if (rules) checkRules(`${owner}: a group`, given, rules);
        const own = { ...given, lrScale: this.#scaleOf(given) } as Partial<Options>;
        for (const [name, parameter] of checkedParameters(owner, named)) {
          if (!parameter.requiresGrad) continue; // frozen
          if (seen.has(parameter)) throw new GpugradError(`${this.constructor.name}: ${name} is given twice.`);
          if (parameter.dtype !== "f32") {
            throw new GpugradError(
              `${this.constructor.name}: ${name} is ${parameter.dtype}; training needs f32: fromPretrained(…, { dtype: "f32" }).`,
            );
          }
          seen.add(parameter);
          const shapes = shapesOf(parameter, { ...options, ...own });
          const isSmall = groupsSmall && parameter.size <= SMALL;
          const state = isSmall
            ? vectors
            : Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, made(zeros(shape))] as const));
          if (isSmall) vectors += Object.values(shapes).reduce((sum, shape) => sum + vectorsOf(sizeOf(shape)), 0);
          this.#entries.push({ name, parameter, own, shapes, state, record: this.#entries.length + 1, steps: 0 });
        }
      }
      if (this.#entries.length === 0)
        throw new GpugradError(
          `${this.constructor.name}: no parameter requires a gradient. Call requireGrad() on those that are trained.`,
        );
      this.#moments = made(zeros([4 * vectors]));
      this.#plain = made(ones([4]));
    } catch (error) {
      for (const tensor of tensors) tensor.dispose(); // nobody else has a handle to what is half made
      throw error;
    }
  }

  #scaleOf({ lr, lrScale = 1 }: Partial<Options>): number {
    const scale = lr === undefined ? lrScale : lr / this.options.lr;
    if (scale >= 0 && scale < Infinity && (lr === undefined || lrScale === 1)) return scale;
    throw new GpugradError(
      `${this.constructor.name}: a group has lr ${lr} and lrScale ${lrScale}, the optimizer lr ${this.options.lr}. ` +
        `Give a group one of the two, not negative; lr only where the optimizer's is above 0.`,
    );
  }

  /** The options of a group as they are now. */
  #optionsOf(own: Partial<Options>): Options {
    return { ...this.options, ...own, lr: this.options.lr * own.lrScale! };
  }

  /** The learning rate of the next step: schedules set it. All groups follow, each by its factor. */
  get lr(): number {
    return this.options.lr;
  }
  set lr(value: number) {
    checkOptions(`${this.constructor.name}.lr`, { lr: value }, { lr: "number" });
    checkRanges(`${this.constructor.name}.lr`, { lr: value }, { lr: {} });
    this.options.lr = value;
  }

  /** The parameters that are optimized. */
  get parameters(): Tensor[] {
    return this.#entries.map((entry) => entry.parameter);
  }

  /**
   * Changes every parameter that has a gradient by one step. Gradients are multiplied by `by` while they are read, if it is given,
   * and stay as they are: `optimizer.step(clipFactor(optimizer.parameters, 1))`. The rate is `optimizer.lr`.
   */
  step(by?: GradientFactor): void {
    if (typeof by === "object" && "lr" in by)
      throw new GpugradError(`${this.constructor.name}.step: it takes no lr. Set optimizer.lr before.`);
    if (by !== undefined)
      checkOptions(`${this.constructor.name}.step`, by, { norm: "tensor", factor: "tensor", found: "tensor?" });
    const entries = this.#entries.filter(({ parameter }) => parameter.grad);
    if (by?.found) this.#clock ??= this.#startClock();
    atEachReplay(() => {
      this.steps++;
      for (const entry of entries) entry.steps++;
      for (const { parameter } of entries) parameter.storage.version++;
    });
    const optionsOf = new Map(this.#entries.map(({ own }) => [own, this.#optionsOf(own)]));
    if (this.#clock) this.#tick(this.#clock, by?.factor ?? this.#plain, entries, optionsOf);
    const due = entries.map((entry): Due<Options> => ({
      p: entry.parameter,
      g: entry.parameter.grad!,
      state: entry.state,
      options: optionsOf.get(entry.own)!,
      now: () => ({ options: this.#optionsOf(entry.own), step: entry.steps }),
      record: this.#clock ? entry.record : 0,
    }));
    this.update(due, this.#clock ?? by?.factor ?? this.#plain, this.#moments);
  }

  /**
   * The step of these parameters, by the optimizer's formula.
   * @param clock what gradients are multiplied by, whether to take the step, and the corrections by `record`
   * @param moments state of the small parameters
   */
  protected abstract update(due: readonly Due<Options>[], clock: Tensor, moments: Tensor): void;

  /** The β₁ and β₂ that its corrections 1 − βᵗ are of. */
  protected betasOf(_options: Options): readonly [number, number] {
    return [0, 0];
  }

  #clockRecords(): number[] {
    return [{ steps: 0 }, ...this.#entries].flatMap(({ steps }) => [steps, 0, 1, 1]);
  }

  #startClock(): Tensor {
    const records = this.#clockRecords();
    return keep(fromArray(records, [records.length / 4, 4]), OWNER);
  }

  /** One dispatch, as a rule: for each run of neighbours that take part and have the same betas. */
  #tick(
    clock: Tensor,
    factor: Tensor,
    entries: readonly Entry<Options>[],
    optionsOf: ReadonlyMap<Partial<Options>, Options>,
  ): void {
    const logOf = (beta: number): number => Math.max(Math.log(beta), -20);
    const runs: { first: number; count: number; log_beta1: number; log_beta2: number }[] = [];
    for (const { record, own } of entries) {
      const [log_beta1, log_beta2] = this.betasOf(optionsOf.get(own)!).map(logOf) as [number, number];
      const last = runs.at(-1);
      const continues =
        last?.log_beta1 === log_beta1 && last.log_beta2 === log_beta2 && record === last.first + last.count;
      if (continues) last.count++;
      else runs.push({ first: record, count: 1, log_beta1, log_beta2 });
    }
    for (const params of runs) run(clockKernel, { factor, clock }, params, { threads: params.count });
  }

  /** Forgets the gradients, so that the next backward begins at nothing. */
  zeroGrad(): void {
    for (const { parameter } of this.#entries) {
      parameter.grad?.dispose();
      parameter.grad = null;
    }
  }

  /**
   * State tensors as `exp_avg.<parameter>` and so on, in PyTorch's names. They belong to the scope around, or are to be disposed: those
   * of small parameters are copies, the others share the optimizer's memory.
   */
  state(): Map<string, Tensor> {
    return new Map(Array.from(this.#pieces(), ({ key, ...piece }) => [key, tensorAt(piece)]));
  }

  /** Where each state tensor lies: all of a tensor of its own, or a piece of `moments` from element `at` on. */
  *#pieces(): Generator<Piece & { key: string }> {
    for (const { name, shapes, state } of this.#entries) {
      let at = typeof state === "number" ? 4 * state : 0;
      for (const [key, shape] of Object.entries(shapes)) {
        const tensor = typeof state === "number" ? this.#moments : state[key]!;
        yield { key: `${key}.${name}`, tensor, shape, at };
        if (tensor === this.#moments) at += 4 * vectorsOf(sizeOf(shape));
      }
    }
  }

  /**
   * All that `loadStateDict` needs to continue from here, byte for byte. Tensors are read when they are asked for their bytes, one by one;
   * not any more when a step has been taken since. Options are not in it: the constructor has them, and the schedule the rate.
   *
   * ```ts
   * const { tensors, ...rest } = optimizer.stateDict(); // rest: JSON
   * await writeSafetensors(file, [...tensors].map(([name, t]) => ({ name, dtype: "F32", shape: t.shape, bytes: () => t.bytes() })));
   * ```
   */
  stateDict(): OptimizerState {
    const { steps } = this;
    const readable = (key: string, piece: Piece): [string, StateTensor] => {
      const bytes = (): Promise<Uint8Array> => {
        if (this.steps !== steps) {
          const now = `${this.steps} steps now, ${steps} when stateDict() was called`;
          throw new GpugradError(
            `${this.constructor.name}.stateDict: ${key} is read too late: ${now}. Read it before.`,
          );
        }
        const tensor = tensorAt(piece);
        const read = tensor.bytes();
        tensor.dispose(); // the read is recorded; the memory may go
        return read;
      };
      return [key, { shape: piece.shape, bytes }];
    };
    const clock = this.#clock;
    return {
      steps,
      parameters: this.#entries.map(({ name, steps }) => ({ name, steps })),
      tensors: new Map([
        ...Array.from(this.#pieces(), ({ key, ...piece }) => readable(key, piece)),
        ...(clock ? [readable("clock", { tensor: clock, shape: clock.shape, at: 0 })] : []),
      ]),
    };
  }

  /**
   * Continues where `stateDict` was taken.
   * @throws when the state is of other parameters, of other shapes, or of another kind of optimizer; then nothing has changed
   */
  async loadStateDict(state: OptimizerState): Promise<void> {
    const { steps, parameters, tensors } = state;
    const pieces = [...this.#pieces()];
    const clockShape = [this.#entries.length + 1, 4];
    const names = this.#entries.map(({ name }) => name);
    checkSameState(this.constructor.name, state, names, [...pieces, { key: "clock", shape: clockShape }]);
    for (const { key, tensor, shape, at } of pieces) tensor.writeBytes(await bytesOf(key, tensors, shape), 4 * at);
    const clock = tensors.has("clock") ? await bytesOf("clock", tensors, clockShape) : undefined;
    this.steps = steps;
    for (const [i, entry] of this.#entries.entries()) entry.steps = parameters[i]!.steps;
    if (clock) (this.#clock ??= this.#startClock()).writeBytes(clock);
    else if (this.#clock) this.#clock.write(this.#clockRecords()); // in place: a recorded step reads it
  }

  /** Gives the state's memory back. */
  dispose(): void {
    const own = this.#entries.flatMap(({ state }) => (typeof state === "number" ? [] : Object.values(state)));
    for (const tensor of [...own, this.#moments, this.#plain, ...(this.#clock ? [this.#clock] : [])])
      if (!tensor.disposed) tensor.dispose();
  }
}
