import { device } from "../../runtime/init.ts";
import { kernel, specialize, type Params } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { ladder, type Rung, type Unnamed } from "../ladder.ts";
import { lanesOf } from "../lanes.ts";
import naiveCode from "./softmax-naive.wgsl";
import rowsBackwardCode from "./softmax-rows-backward.wgsl";
import rowsCode from "./softmax-rows.wgsl";
import subgroupBackwardCode from "./softmax-subgroup-backward.wgsl";
import subgroupCode from "./softmax-subgroup.wgsl";
import workgroupBackwardCode from "./softmax-workgroup-backward.wgsl";
import workgroupCode from "./softmax-workgroup.wgsl";

/** The lines of a shape along a dimension: how many, how long, and how far apart their elements lie. */
export interface Lines {
  rows: number;
  cols: number;
  inner: number;
}

export type Pass = "forward" | "backward";

/** What a choice of kernels depends on. */
export interface SoftmaxSizes extends Lines {
  pass: Pass;
}

/** Softmax or log-softmax of lines, or the gradients. Forward takes tensors x and y, backward y, dy and dx. */
export interface SoftmaxTask extends SoftmaxSizes {
  log: boolean;
  tensors: Record<string, Tensor>;
}

export type SoftmaxRung = Rung<SoftmaxSizes, SoftmaxTask>;

/** Elements that can be read at once along lines of this length. */
export const widthOf = ({ cols, inner }: Lines): 1 | 4 => (inner === 1 && cols % 4 === 0 ? 4 : 1);

/** Invocations of a workgroup for a line: few enough that each has some elements to add up before the tree. */
export const workgroupFor = (cols: number): number => (cols <= 512 ? 64 : 256);

const powerOfTwoFrom = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** f32 of its row that an invocation holds in registers: a GPU runs less of them at once the more these are. */
const HELD = { forward: 32, backward: 16 };

/**
 * How softmax-subgroup.wgsl shares out a row: within one span of swapping invocations while their registers hold it, else among
 * as many as it takes, which is a workgroup for each row.
 */
export function teamFor(pass: Pass, lines: Lines, smallestSubgroup: number) {
  const width = widthOf(lines);
  const vectors = lines.cols / width;
  const most = HELD[pass] / width;
  const swapping = Math.min(32, smallestSubgroup);
  const team =
    vectors <= swapping * most
      ? Math.min(swapping, powerOfTwoFrom(vectors))
      : powerOfTwoFrom(Math.ceil(vectors / most));
  return {
    consts: { ...lanesOf(width), VECTORS: powerOfTwoFrom(Math.ceil(vectors / team)) },
    overrides: { TEAM: team, SPAN: Math.min(team, swapping), SIZE: team > swapping ? team : 128 },
    vectors,
    rowsPerGroup: team > swapping ? 1 : 128 / team,
  };
}

const naiveKernel = kernel("ops/softmax/softmax-naive.wgsl", naiveCode);
const rowsKernels = {
  forward: kernel("ops/softmax/softmax-rows.wgsl", rowsCode),
  backward: kernel("ops/softmax/softmax-rows-backward.wgsl", rowsBackwardCode),
};
const workgroupKernels = {
  forward: kernel("ops/softmax/softmax-workgroup.wgsl", workgroupCode),
  backward: kernel("ops/softmax/softmax-workgroup-backward.wgsl", workgroupBackwardCode),
};
const subgroupKernels = {
  forward: kernel("ops/softmax/softmax-subgroup.wgsl", subgroupCode),
  backward: kernel("ops/softmax/softmax-subgroup-backward.wgsl", subgroupBackwardCode),
};

const linesOf = ({ rows, cols, inner }: SoftmaxTask): Params => ({ rows, cols, inner });

/** The same softmax, with ever fewer reads of memory. */
const rungs = {
  naive: {
    kernel: "softmax-naive",
    idea: "one invocation per line, three passes, element by element", // also for CPUs, where lines aren't whole vec4s
    suits: (_adapter, { pass }) => pass === "forward",
    compute: (task) =>
      run(naiveKernel, task.tensors, linesOf(task), { threads: task.rows, overrides: { LOG: +task.log } }),
  },
  rows: {
    kernel: "softmax-rows",
    idea: "one invocation per line, maximum and sum in one pass, reads of 16 bytes", // for CPUs, and for lines whose elements lie apart
    suits: () => true,
    compute(task) {
      const code = specialize(rowsKernels[task.pass], lanesOf(widthOf(task)));
      run(code, task.tensors, linesOf(task), { threads: task.rows, overrides: { LOG: +task.log } });
    },
  },
  workgroup: {
    kernel: "softmax-workgroup",
    idea: "a workgroup per row: neighbours read neighbours, a tree adds up", // for rows that registers don't hold, and GPUs without subgroups
    suits: (_adapter, { inner }) => inner === 1,
    compute({ pass, log, tensors, ...lines }) {
      const width = widthOf(lines);
      const params = { rows: lines.rows, vectors: lines.cols / width };
      const overrides = { LOG: +log, SIZE: workgroupFor(lines.cols) };
      run(specialize(workgroupKernels[pass], lanesOf(width)), tensors, params, { workgroups: lines.rows, overrides });
    },
  },
  subgroup: {
    kernel: "softmax-subgroup",
    idea: "the row stays in registers: read once, joined by swapping registers", // for GPUs with subgroups
    suits: (adapter, { pass, ...lines }) =>
      lines.inner === 1 &&
      lines.cols > 0 &&
      adapter.features.includes("subgroups") &&
      teamFor(pass, lines, adapter.subgroupSize[0]).overrides.SIZE <= adapter.workgroupInvocations,
    compute({ pass, log, tensors, ...lines }) {
      const { consts, overrides, vectors, rowsPerGroup } = teamFor(pass, lines, device().adapter.subgroupSize[0]);
      const workgroups = ceilDiv(lines.rows, rowsPerGroup);
      const params = { rows: lines.rows, vectors };
      run(specialize(subgroupKernels[pass], consts), tensors, params, {
        workgroups,
        overrides: { LOG: +log, ...overrides },
      });
    },
  },
} satisfies Record<string, Unnamed<SoftmaxRung>>;

export const softmaxLadder = ladder<SoftmaxRung, keyof typeof rungs>("softmax", rungs, "rows");
