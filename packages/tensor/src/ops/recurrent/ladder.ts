import type { AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { kernel, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { firstThatSuits, ladder, type Rung, type Unnamed } from "../ladder.ts";
import gruBackwardCode from "./gru-backward.wgsl";
import gruCode from "./gru.wgsl";
import lstmBackwardCode from "./lstm-backward.wgsl";
import lstmCode from "./lstm.wgsl";

export type Cell = "gru" | "lstm";

/** A layer in one direction, in numbers. */
export interface RecurrentSizes {
  batch: number;
  units: number;
  steps: number;
}

/** All steps forward, or all steps back. */
export interface RecurrentTask extends RecurrentSizes {
  cell: Cell;
  pass: "forward" | "backward";
  reverse: boolean;
  /** States from one step to the next, and from one row of the batch to the next. */
  stride: readonly [step: number, row: number];
  /** What the kernel binds. */
  tensors: Record<string, Tensor>;
}

export type RecurrentRung = Rung<RecurrentSizes, RecurrentTask>;

const kernels: Record<Cell, Record<RecurrentTask["pass"], Kernel>> = {
  gru: {
    forward: kernel("ops/recurrent/gru.wgsl", gruCode),
    backward: kernel("ops/recurrent/gru-backward.wgsl", gruBackwardCode),
  },
  lstm: {
    forward: kernel("ops/recurrent/lstm.wgsl", lstmCode),
    backward: kernel("ops/recurrent/lstm-backward.wgsl", lstmBackwardCode),
  },
};

/**
 * How work is shared out. A CPU gains by many products per load, so an invocation has many rows, and going back several units; a GPU gains by many
 * invocations at once.
 */
function sharesOf({ cpu }: AdapterInfo, { batch, units }: RecurrentSizes, back: boolean) {
  const most = cpu ? 16 : batch < 512 ? 1 : 4;
  const ROWS = Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(1, batch))));
  const UNITS = back && cpu && units > 64 ? 4 : 1;
  const SIZE = cpu ? 64 / UNITS : Math.min(256, Math.max(32, 2 ** Math.ceil(Math.log2(units))));
  return { ROWS, UNITS, SIZE };
}

/** Makes steps `begin` up to `end`; the workgroups share the units of a row if they may. */
function launch(task: RecurrentTask, begin: number, end: number, shared: boolean): void {
  const { cell, pass, batch, units, steps, stride, tensors } = task;
  const back = pass === "backward";
  const { ROWS, UNITS, SIZE } = sharesOf(device().adapter, task, back);
  const code = specialize(kernels[cell][pass], { ROWS, ...(back && { UNITS }) });
  const params = { batch, units, steps, begin, end, reverse: +task.reverse, one: 1, stride };
  const longest = back ? units * (cell === "gru" ? 3 : 4) : units;
  run(code, tensors, params, {
    workgroups: [ceilDiv(batch, ROWS), shared ? ceilDiv(units, SIZE * UNITS) : 1],
    overrides: { SIZE, UNROLL: +!device().adapter.cpu, CHUNK: Math.min(256, ceilDiv(longest, 4) * 4) },
  });
}

/** Launches of a task: going back, one more gives the gradient of the first state. */
const launchesOf = ({ pass, steps }: RecurrentTask): number => (pass === "backward" ? steps + 1 : steps);

const rungs = {
  steps: {
    kernel: "lstm step by step",
    idea: "one dispatch per step: all workgroups share a step's units",
    suits: () => true,
    compute(task) {
      for (let step = 0; step < launchesOf(task); step++) launch(task, step, step + 1, true);
    },
  },
  sequence: {
    kernel: "lstm whole sequence",
    idea: "one dispatch for all steps: a workgroup has all units of its rows, and waits for nobody else",
    suits: (_adapter, { batch }) => batch > 0,
    compute: (task) => launch(task, 0, launchesOf(task), false),
  },
} satisfies Record<string, Unnamed<RecurrentRung>>;

export const recurrentLadder = ladder<RecurrentRung, keyof typeof rungs>("recurrent", rungs, "steps");

/** Weights up to this many are read by each workgroup at each step: beyond, that takes longer than a dispatch. */
const FEW_WEIGHTS = 65_536;

/** The whole sequence at once where a workgroup reads all weights sooner than all workgroups are started again. */
export function chooseRecurrent(adapter: AdapterInfo, sizes: RecurrentSizes): RecurrentRung {
  const { sequence, steps } = recurrentLadder.rungs;
  const few = 4 * sizes.units ** 2 <= FEW_WEIGHTS;
  return firstThatSuits(recurrentLadder, few ? [sequence] : [steps], adapter, sizes);
}

export const choose = (sizes: RecurrentSizes): RecurrentRung =>
  recurrentLadder.forced?.rung ?? chooseRecurrent(device().adapter, sizes);
