import {
  arange,
  argumentCheck,
  check,
  concat,
  dropout,
  gruSequence,
  gt,
  linear,
  lstmSequence,
  reshape,
  sameShape,
  select,
  showShape,
  stack,
  unbind,
  unsqueeze,
  where,
  zeros,
  type RecurrentSequenceOptions,
  type Shape,
  type Tensor,
} from "@gpugrad/tensor";
import { uniform } from "../initializers.ts";
import { Module } from "../module.ts";
import { parameter } from "../parameter.ts";

/** What a cell remembers from step to step, [B, H] each: h, and an LSTM's c. */
type State = readonly Tensor[];

/** The weights of one layer in one direction: input and hidden, [gates · H, …], and their biases. */
interface Weights {
  weight_ih: Tensor;
  weight_hh: Tensor;
  bias_ih: Tensor | undefined;
  bias_hh: Tensor | undefined;
}

/** A kind of cell: a whole sequence of it, how many gates it has and tensors of state. */
interface Kind {
  sequence: typeof gruSequence;
  gates: number;
  states: number;
}
const gru: Kind = { sequence: gruSequence, gates: 3, states: 1 };
const lstm: Kind = { sequence: lstmSequence, gates: 4, states: 2 };

/** States after each step, [T, B, H] or [B, T, H] each: the inputs' products at once, then a kernel for all steps. */
function statesOf(kind: Kind, x: Tensor, first: State, weights: Weights, options: RecurrentSequenceOptions): State {
  const inputs = linear(x, weights.weight_ih, weights.bias_ih);
  const states = kind.sequence(inputs, stack([...first]), weights.weight_hh, weights.bias_hh, options);
  return first.length === 1 ? [reshape(states, states.shape.slice(1))] : unbind(states);
}

/** Weights under PyTorch's names, ending in `suffix`; all begin uniformly within ±1/√H. */
function begun(
  gates: number,
  inputSize: number,
  hiddenSize: number,
  bias: boolean,
  suffix = "",
): Record<string, Tensor> {
  const bound = 1 / Math.sqrt(hiddenSize);
  const made = (...shape: number[]): Tensor => parameter(shape, (w) => uniform(w, { low: -bound, high: bound }));
  const rows = gates * hiddenSize;
  return {
    [`weight_ih${suffix}`]: made(rows, inputSize),
    [`weight_hh${suffix}`]: made(rows, hiddenSize),
    ...(bias && { [`bias_ih${suffix}`]: made(rows), [`bias_hh${suffix}`]: made(rows) }),
  };
}

/** Options of {@link GRUCell} and {@link LSTMCell}. */
export interface RecurrentCellOptions {
  bias?: boolean;
}

function checkStates(name: string, states: State | undefined, shape: Shape, dims: string): void {
  for (const state of states ?? [])
    check(
      sameShape(state.shape, shape),
      () => `${name}: a first state is ${showShape(state.shape)}, not ${showShape(shape)}: ${dims}.`,
    );
}

const sizeTakes = { inputSize: "size", hiddenSize: "size" } as const;
const optionTakes = {
  numLayers: "size?",
  bias: "boolean?",
  batchFirst: "boolean?",
  dropout: "probability below 1?",
  bidirectional: "boolean?",
} as const;

abstract class Cell extends Module {
  declare readonly weight_ih: Tensor; // [gates · H, in]
  declare readonly weight_hh: Tensor; // [gates · H, H]
  declare readonly bias_ih: Tensor | undefined; // [gates · H]
  declare readonly bias_hh: Tensor | undefined; // [gates · H]
  readonly #kind: Kind;
  readonly #hiddenSize: number;

  constructor(kind: Kind, inputSize: number, hiddenSize: number, options: RecurrentCellOptions) {
    super();
    argumentCheck(new.target.name, { ...sizeTakes, options: { bias: "boolean?" } })([inputSize, hiddenSize, options]);
    const { bias = true } = options;
    this.#kind = kind;
    this.#hiddenSize = hiddenSize;
    Object.assign(this, begun(kind.gates, inputSize, hiddenSize, bias));
  }

  protected step(x: Tensor, state: State | undefined): State {
    const name = this.constructor.name;
    argumentCheck(name, { x: "tensor", state: "tensors?" })([x, state]);
    check(x.rank === 2, () => `${name}: x is ${showShape(x.shape)}, not [B, in].`);
    const shape = [x.shape[0]!, this.#hiddenSize];
    checkStates(name, state, shape, "[B, H]");
    const before = state ?? new Array<Tensor>(this.#kind.states).fill(zeros(shape));
    return statesOf(this.#kind, unsqueeze(x, 0), before, this, {}).map((after) => reshape(after, shape));
  }
}

/** One step of a {@link GRU}. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.GRUCell.html */
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions = {}) {
    super(gru, inputSize, hiddenSize, options);
  }
  /** @param x [B, in] @param h [B, H], 0 unless given @returns the next h */
  forward = (x: Tensor, h?: Tensor): Tensor => this.step(x, h && [h])[0]!;
}

/** One step of an {@link LSTM}. @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.LSTMCell.html */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions = {}) {
    super(lstm, inputSize, hiddenSize, options);
  }
  /** @param x [B, in] @param state h and c, [B, H] each, 0 unless given @returns the next ones */
  forward = (x: Tensor, state?: readonly [h: Tensor, c: Tensor]): readonly [h: Tensor, c: Tensor] =>
    this.step(x, state) as [Tensor, Tensor];
}

/** Options of {@link GRU} and {@link LSTM}. */
export interface RecurrentOptions {
  numLayers?: number;
  bias?: boolean;
  /** Whether x and y are [B, T, …] rather than [T, B, …]; states are [layers, B, H] either way. */
  batchFirst?: boolean;
  /** The probability of an output to be dropped between layers, in training. */
  dropout?: number;
  /** Whether a second set of weights reads backwards; y is [… , 2 · H] then. */
  bidirectional?: boolean;
}

/** Options of a call of {@link GRU} and {@link LSTM}. */
export interface RecurrentCall {
  /** How many steps of each row count, i32 or u32 [B]: y is 0 after them, and the last states are each row's own. */
  lengths?: Tensor | undefined;
}

abstract class Recurrent extends Module {
  readonly #kind: Kind;
  readonly #hiddenSize: number;
  readonly #options: Required<RecurrentOptions>;

  constructor(kind: Kind, inputSize: number, hiddenSize: number, options: RecurrentOptions) {
    super();
    argumentCheck(new.target.name, { ...sizeTakes, options: optionTakes })([inputSize, hiddenSize, options]);
    const { numLayers = 1, bias = true, batchFirst = false, dropout: p = 0, bidirectional = false } = options;
    this.#kind = kind;
    this.#hiddenSize = hiddenSize;
    this.#options = { numLayers, bias, batchFirst, dropout: p, bidirectional };
    for (let layer = 0; layer < numLayers; layer++)
      for (const direction of this.#directions) {
        const size = layer === 0 ? inputSize : hiddenSize * this.#directions.length;
        Object.assign(this, begun(kind.gates, size, hiddenSize, bias, `_l${layer}${direction}`));
      }
  }

  get #directions(): readonly string[] {
    return this.#options.bidirectional ? ["", "_reverse"] : [""];
  }

  #weights(suffix: string): Weights {
    const own = this as unknown as Record<string, Tensor>;
    const of = (name: string): Tensor => own[`${name}${suffix}`]!;
    return { weight_ih: of("weight_ih"), weight_hh: of("weight_hh"), bias_ih: of("bias_ih"), bias_hh: of("bias_hh") };
  }

  /** @param first the states before the first step, [layers · directions, B, H] each */
  protected run(x: Tensor, first: State | undefined, call: RecurrentCall): { y: Tensor; last: State } {
    const { numLayers, batchFirst, dropout: p } = this.#options;
    const name = this.constructor.name;
    argumentCheck(name, { x: "tensor", first: "tensors?", options: { lengths: "tensor?" } })([x, first, call]);
    const { lengths } = call;
    check(x.rank === 3, () => `${name}: x is ${showShape(x.shape)}, not ${batchFirst ? "[B, T, in]" : "[T, B, in]"}.`);
    const time = batchFirst ? 1 : 0;
    const [T, B] = [x.shape[time]!, x.shape[1 - time]!];
    check(T > 0, () => `${name}: x ${showShape(x.shape)} has no step.`);
    const count = numLayers * this.#directions.length;
    const shape = [count, B, this.#hiddenSize];
    checkStates(name, first, shape, "[layers, B, H]");
    const begin = (first ?? new Array<Tensor>(this.#kind.states).fill(zeros(shape))).map((s) => unbind(s));
    const within = lengths && insides(lengths, T, batchFirst);

    const last: State[] = [];
    let y = x;
    for (let layer = 0; layer < numLayers; layer++) {
      const input = layer > 0 && this.training && p > 0 ? dropout(y, { p, training: true }) : y;
      const ways = this.#directions.map((direction) => {
        const before = begin.map((states) => states[last.length]!);
        const weights = this.#weights(`_l${layer}${direction}`);
        const reverse = direction !== "";
        const states = statesOf(this.#kind, input, before, weights, { batchFirst, reverse, lengths });
        last.push(states.map((state) => select(state, time, reverse ? 0 : -1)));
        return within ? where(within, states[0]!, 0) : states[0]!;
      });
      y = ways.length === 1 ? ways[0]! : concat(ways, { dim: -1 });
    }
    return { y, last: begin.map((_, i) => stack(last.map((states) => states[i]!))) };
  }
}

/** Which steps lie within rows of these lengths: bool [T, B, 1] or [B, T, 1]. */
function insides(lengths: Tensor, T: number, batchFirst: boolean): Tensor {
  const [count, step] = batchFirst ? [[-1, 1, 1], [T, 1]] : [[1, -1, 1], [T, 1, 1]]; // prettier-ignore
  return gt(reshape(lengths, count), reshape(arange(0, T, 1, { dtype: "i32" }), step));
}

/**
 * Gated recurrent units over a sequence, with PyTorch's parameters: `weight_ih_l0`, `weight_hh_l0`, …, `weight_ih_l0_reverse`. A layer is
 * one product for all inputs, then one dispatch for all steps, or one per step where units are many.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.GRU.html
 */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(gru, inputSize, hiddenSize, options);
  }
  /** @param x [T, B, in] @param h0 [layers · directions, B, H], 0 unless given @returns y [T, B, directions · H] and the last states, like h0 */
  forward = (x: Tensor, h0?: Tensor, call: RecurrentCall = {}): readonly [y: Tensor, h: Tensor] => {
    const { y, last } = this.run(x, h0 && [h0], call);
    return [y, last[0]!];
  };
}

/**
 * Long short-term memory over a sequence, as {@link GRU}.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.LSTM.html
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(lstm, inputSize, hiddenSize, options);
  }
  /** @param x [T, B, in] @param first h and c, [layers · directions, B, H] each, 0 unless given @returns y [T, B, directions · H], and the last h and c */
  forward = (
    x: Tensor,
    first?: readonly [h: Tensor, c: Tensor],
    call: RecurrentCall = {},
  ): readonly [y: Tensor, state: readonly [h: Tensor, c: Tensor]] => {
    const { y, last } = this.run(x, first, call);
    return [y, last as [Tensor, Tensor]];
  };
}
