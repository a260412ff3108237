import * as autograd from "@gpugrad/autograd";
import * as nn from "@gpugrad/nn";
import * as tensors from "@gpugrad/tensor";
import { hooks, keep, scope, Tensor, type Call, type Shape } from "@gpugrad/tensor";

/** Numbers read back from the device: what a page shows of a tensor. */
export interface Values {
  shape: Shape;
  data: ArrayLike<number>;
}

/** One row of the drawing: a leaf, or a step that an op recorded. */
export interface TapeRow {
  /** What it shows: the op's name, or the leaf's. */
  name: string;
  leaf: boolean;
  shape: Shape;
  /** Rows that its inputs come from, by the op's own names for them. */
  inputs: { name: string; row: number }[];
  value: Values;
  /** dLoss / d this, where a gradient arrives. */
  gradient?: Values;
  /** Its place in backward, from 0; a leaf comes when the last step has reached it. */
  order?: number;
}

const AsyncFunction = (async () => {}).constructor as new (
  ...args: string[]
) => (...values: unknown[]) => Promise<unknown>;
const library: Record<string, unknown> = { ...tensors, ...autograd, nn, ...nn };
const names = Object.keys(library).filter((name) => /^[a-zA-Z]\w*$/.test(name));

/**
 * Runs code that returns a loss, with every export of the tensor library, autograd and nn in scope, and goes back from the loss.
 * @returns the steps behind the loss, in the order in which they were recorded, each after the leaves that it is the first to use
 * @throws what the code throws; a GpugradError where it returns no loss
 */
export async function recordTape(code: string): Promise<TapeRow[]> {
  const calls: Call[] = [];
  const kept: Tensor[] = [];
  const hold = (x: Tensor): Tensor => {
    const handle = keep(x.alias());
    kept.push(handle);
    return handle;
  };
  const gradients = new Map<Tensor, { tensor: Tensor; order: number }>();
  const recorder = hooks.recorder!;
  hooks.recorder = {
    isRecording: () => recorder.isRecording(),
    backward: (loss, options) => recorder.backward(loss, options),
    record: (call) => {
      recorder.record(call);
      if (call.output.gradNode) calls.push({ ...call, output: call.output });
    },
  };
  try {
    const loss = await new AsyncFunction(...names, `"use strict";\n${code}`)(...names.map((name) => library[name]));
    if (!(loss instanceof Tensor))
      throw new tensors.GpugradError("The code returns no tensor. End it with `return loss;`.");
    const steps = new Set(autograd.tape(loss).steps.map(({ id }) => id));
    const behind = calls.filter(({ output }) => steps.has((output.gradNode as unknown as { id: number }).id));

    const rows: TapeRow[] = [];
    const rowOf = new Map<unknown, number>();
    const shown: Tensor[] = [];
    const addRow = (x: Tensor, key: unknown, row: Omit<TapeRow, "shape" | "value">): void => {
      rowOf.set(key, rows.length);
      rows.push({ ...row, shape: x.shape, value: { shape: x.shape, data: [] } });
      shown.push(hold(x));
      autograd.registerHook(x, (gradient) => {
        if (!gradients.has(x)) gradients.set(x, { tensor: hold(gradient), order: gradients.size });
      });
    };
    const rowTensors: Tensor[] = [];
    for (const { op, inputs, output } of behind) {
      const needed = Object.entries(inputs).flatMap(([name, x]) => (x?.requiresGrad ? [{ name, x }] : []));
      for (const { x } of needed) {
        if (x.gradNode || rowOf.has(x)) continue;
        addRow(x, x, { name: `leaf ${rowTensors.filter((t) => !t.gradNode).length + 1}`, leaf: true, inputs: [] });
        rowTensors.push(x);
      }
      const from = needed.map(({ name, x }) => ({ name, row: rowOf.get(x.gradNode ?? x)! }));
      addRow(output, output.gradNode, { name: op, leaf: false, inputs: from });
      rowTensors.push(output);
    }
    scope(() => autograd.backward(loss));
    for (const [i, row] of rows.entries()) {
      row.value.data = await shown[i]!.data();
      const arrived = gradients.get(rowTensors[i]!);
      if (!arrived) continue;
      row.gradient = { shape: row.shape, data: await arrived.tensor.data() };
      row.order = arrived.order;
    }
    return rows;
  } finally {
    hooks.recorder = recorder;
    for (const tensor of kept) tensor.dispose();
  }
}
