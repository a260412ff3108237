import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { sameShape, showShape, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { filled } from "../elementwise/fill.ts";
import { matmul } from "../matmul/matmul.ts";
import { sum } from "../reduce/sum.ts";
import { copyView, viewOf } from "../shape/copy.ts";
import { choose, type Cell, type RecurrentSizes } from "./ladder.ts";

/** Options of {@link gruSequence} and {@link lstmSequence}. */
export interface RecurrentSequenceOptions {
  /** Whether sequences are [B, T, …] rather than [T, B, …]. */
  batchFirst?: boolean | undefined;
  /** From the last step to the first. */
  reverse?: boolean | undefined;
  /** i32 or u32 [B]: later steps keep the state. All T unless given. */
  lengths?: Tensor | undefined;
}

/** Gates of a cell, and tensors of state. */
const cells = { gru: { gates: 3, planes: 1 }, lstm: { gates: 4, planes: 2 } } as const;

/** A matrix [K, N] with four of K together, [K / 4, N, 4], 0 beyond the last: what kernels read at once. `columns`: K is along rows of `x`. */
function fours(x: Tensor, columns: boolean): Tensor {
  const [K, N] = (columns ? [...x.shape].reverse() : x.shape) as [number, number];
  const whole = Math.ceil(K / 4);
  const shape = [whole, N, 4];
  let source = x;
  if (K % 4 !== 0) {
    source = filled(columns ? [N, 4 * whole] : [4 * whole, N], 0);
    copyView(x.shape, x, viewOf(x.shape), source, viewOf(source.shape));
  }
  const packed = empty(shape);
  const [k, n] = columns ? [1, 4 * whole] : [N, 1];
  copyView(shape, source, { offset: 0, strides: [4 * k, n, k] }, packed, viewOf(shape));
  return packed;
}

/** How a layer runs over its sequence. */
interface Walk extends RecurrentSizes {
  reverse: boolean;
  stride: readonly [step: number, row: number];
}

/** h before each step, in the order of the states: the first one, then those after the others. */
function before(states: Tensor, first: Tensor, { batch, units, steps, reverse, stride }: Walk): Tensor {
  const result = empty(states.shape.slice(1));
  const [step, row] = stride.map((n) => n * units) as [number, number];
  const begins = { offset: reverse ? (steps - 1) * step : 0, strides: [row, 1] };
  copyView([batch, units], first, { offset: 0, strides: [units, 1] }, result, begins);
  const strides = [step, row, 1];
  const [from, to] = reverse ? [step, 0] : [0, step];
  copyView([steps - 1, batch, units], states, { offset: from, strides }, result, { offset: to, strides });
  return result;
}

/* @__NO_SIDE_EFFECTS__ */
function define(owner: string, cell: Cell) {
  const { gates: count, planes } = cells[cell];
  return defineOp(owner, {
    takes: {
      ...{ inputs: "tensor", first: "tensor", weight: "tensor", bias: "tensor?" },
      options: { batchFirst: "boolean?", reverse: "boolean?", lengths: "tensor?" },
    },
    forward(inputs: Tensor, first: Tensor, weight: Tensor, bias?: Tensor, options: RecurrentSequenceOptions = {}) {
      const { batchFirst = false, reverse = false } = options;
      const units = weight.shape[1] ?? 0;
      const [steps = 0, batch = 0] = batchFirst ? [inputs.shape[1], inputs.shape[0]] : inputs.shape;
      const columns = count * units;
      const wanted: [string, Tensor | undefined, Shape][] = [
        ["weight", weight, [columns, units]],
        ["inputs", inputs, batchFirst ? [batch, steps, columns] : [steps, batch, columns]],
        ["first", first, [planes, batch, units]],
        ["bias", bias, [columns]],
        ["lengths", options.lengths, [batch]],
      ];
      for (const [name, given, shape] of wanted)
        check(
          !given || sameShape(given.shape, shape),
          () => `${owner}: ${name} is ${showShape(given!.shape)}, not ${showShape(shape)}.`,
        );
      const lengths = options.lengths ? cast(options.lengths, "i32") : filled([batch], steps, "i32");
      const walk: Walk = { batch, units, steps, reverse, stride: batchFirst ? [1, steps] : [batch, 1] };
      const sequence = inputs.shape.slice(0, 2);
      const states = empty([planes, ...sequence, units]);
      const gates = empty([...sequence, units, 4]);
      const tensors = { inputs, weight: fours(weight, true), bias: bias ?? filled([columns], 0), first, lengths };
      choose(walk).compute({ cell, pass: "forward", ...walk, tensors: { ...tensors, states, gates } });
      return {
        output: states,
        inputs: { inputs, first, weight, bias },
        saved: { first, weight, lengths, states, gates, walk },
      };
    },
    /** d, the gradients of U h + b of all steps, come of one walk back; then dU = dᵀ h₋ and db = Σ d at once. */
    backward({ first, weight, lengths, states, gates, walk }, dstates, needs) {
      const dfirst = filled(first.shape, 0);
      const d = empty([...states.shape.slice(1, 3), count * walk.units]);
      const dInputs = cell === "gru" ? empty(d.shape) : d;
      const old = cell === "gru" || needs.weight ? before(states, first, walk) : undefined;
      const own = cell === "gru" ? { before: old!, d_inputs: dInputs } : { states, first };
      const tensors = { gates, lengths, dstates, weight: fours(weight, false), dfirst, d, ...own };
      choose(walk).compute({ cell, pass: "backward", ...walk, tensors });
      const rows = walk.steps * walk.batch;
      const all = d.alias([rows, count * walk.units]);
      return {
        inputs: needs.inputs ? dInputs : undefined,
        first: needs.first ? dfirst : undefined,
        weight: needs.weight ? matmul(all, old!.alias([rows, walk.units]), { transposeA: true }) : undefined,
        bias: needs.bias ? sum(all, { dim: 0 }) : undefined,
      };
    },
  });
}

/**
 * A layer of gated recurrent units over a sequence, in few dispatches: the states h after each step, [1, T, B, H], from what the inputs give to
 * the gates r, z, n, x W_ihᵀ + b_ih [T, B, 3 H], the state before the first step [1, B, H], W_hh [3 H, H] and b_hh [3 H]. f32.
 * @throws when the shapes don't fit
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.GRU.html
 */
export const gruSequence = define("gruSequence", "gru");

/**
 * A layer of long short-term memory over a sequence: the states h, then c, after each step, [2, T, B, H], from what the inputs give to
 * the gates i, f, g, o, x W_ihᵀ + b_ih [T, B, 4 H], the states before the first step [2, B, H], W_hh [4 H, H] and b_hh [4 H]. f32.
 * @throws when the shapes don't fit
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.LSTM.html
 */
export const lstmSequence = define("lstmSequence", "lstm");
