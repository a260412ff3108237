import { device } from "../../runtime/init.ts";
import { kernel, replaceFunction, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { ladder, type Rung, type Unnamed } from "../ladder.ts";
import { lanesOf } from "../lanes.ts";
import droppedCode from "../dropout/dropped.wgsl";
import philoxCode from "../dropout/philox.wgsl";
import { noDrop, type Drop } from "../dropout/draw.ts";
import naiveBackwardCode from "./norm-naive-backward.wgsl";
import naiveCode from "./norm-naive.wgsl";
import rowsBackwardCode from "./norm-rows-backward.wgsl";
import rowsCode from "./norm-rows.wgsl";
import subgroupBackwardCode from "./norm-subgroup-backward.wgsl";
import subgroupCode from "./norm-subgroup.wgsl";
import workgroupBackwardCode from "./norm-workgroup-backward.wgsl";
import workgroupCode from "./norm-workgroup.wgsl";

export type Pass = "forward" | "backward";

/** Rows to normalize, or whose gradient to compute. */
export interface NormSizes {
  pass: Pass;
  rows: number;
  cols: number;
  /** Forward: added to the variance. */
  eps: number;
  /** Whether the mean is taken off: layer norm does, RMS norm doesn't. */
  center: boolean;
  /** Forward: whether x is added to a residual first; backward: whether that x had dropout. */
  residual: boolean;
  weight: boolean;
  bias: boolean;
  /** Dropout: with a residual of x, else of y (backward doesn't know of that one). Rows are whole vec4s then. */
  drop: Drop | undefined;
}

/** With what forward and backward read and write: all of the names in norm-rows.wgsl or norm-rows-backward.wgsl. */
export interface NormTask extends NormSizes {
  tensors: Record<string, Tensor>;
}

export type NormRung = Rung<NormSizes, NormTask>;

const kernels = (name: string, forward: string, backward: string): Record<Pass, Kernel> => ({
  forward: kernel(`ops/norm/${name}.wgsl`, forward),
  backward: kernel(`ops/norm/${name}-backward.wgsl`, backward),
});
const naiveKernels = kernels("norm-naive", naiveCode, naiveBackwardCode);
const rowsKernels = kernels("norm-rows", rowsCode, rowsBackwardCode);
const workgroupKernels = kernels("norm-workgroup", workgroupCode, workgroupBackwardCode);
const subgroupKernels = kernels("norm-subgroup", subgroupCode, subgroupBackwardCode);

/** Elements that kernels read at once: four where rows are whole vec4s. */
export const widthOf = (cols: number): 1 | 4 => (cols % 4 === 0 ? 4 : 1);

/** Invocations of a workgroup for a row: few enough that each has some elements to add up before the tree. */
const workgroupFor = (cols: number): number => (cols <= 1024 ? 64 : 256);

/** Vectors of its row that an invocation holds in registers, at most. */
const HELD = 8;

/** How norm-subgroup.wgsl shares out a row: within one span of swapping invocations while that holds it, else in a whole workgroup. */
export function teamFor(cols: number, smallestSubgroup: number) {
  const width = widthOf(cols);
  const n = cols / width;
  const span = Math.min(32, smallestSubgroup, 2 ** Math.ceil(Math.log2(Math.max(n, 1)))); // short rows share a subgroup
  const team = n <= span * HELD ? span : n <= 64 * HELD ? 64 : 256;
  return {
    consts: { ...lanesOf(width), VECTORS: Math.max(1, ceilDiv(n, team)) },
    overrides: { TEAM: team, SPAN: span, SIZE: team > span ? team : 128 },
    rowsPerGroup: team > span ? 1 : 128 / team,
  };
}

/** Parameters and overrides of a kernel of either pass; the naive ones have fewer. */
function settingsOf({ pass, rows, cols, eps, center, residual, weight, bias, drop }: NormSizes) {
  const dropping = { ...(drop ?? noDrop) };
  return pass === "forward"
    ? {
        params: { rows, cols, eps, ...dropping },
        overrides: { CENTER: +center, RESIDUAL: +residual, WEIGHT: +weight, BIAS: +bias },
      }
    : { params: { rows, cols, ...dropping }, overrides: { CENTER: +center, WEIGHT: +weight, DROP: +!!drop } };
}

const dropCode = philoxCode + droppedCode;

/** The kernel with the dropped() of dropped.wgsl where there is dropout. */
const dropping = (base: Kernel, drop: Drop | undefined): Kernel =>
  drop ? replaceFunction(base, "dropped", dropCode) : base;

/** The same norm, with ever fewer and wider reads. */
const rungs = {
  naive: {
    kernel: "norm-naive",
    idea: "one invocation per row, element by element",
    suits: (_adapter, { pass, center, residual, weight, bias, drop }) =>
      center && weight && !drop && (pass === "backward" || (!residual && bias)),
    compute({ pass, rows, cols, eps, tensors }) {
      const { x, dy, h, weight, bias, y, dh, stats } = tensors;
      if (pass === "forward") {
        run(naiveKernels.forward, { x: x!, weight: weight!, bias: bias!, y: y!, stats: stats! }, { rows, cols, eps }, { threads: rows }); // prettier-ignore
      } else {
        run(naiveKernels.backward, { dy: dy!, h: h!, weight: weight!, stats: stats!, dh: dh! }, { rows, cols }, { threads: rows }); // prettier-ignore
      }
    },
  },
  rows: {
    kernel: "norm-rows",
    idea: "reads of 16 bytes", // for CPUs, and for short rows on GPUs without subgroups
    suits: () => true,
    compute(task) {
      const { params, overrides } = settingsOf(task);
      const code = specialize(rowsKernels[task.pass], lanesOf(widthOf(task.cols)));
      run(dropping(code, task.drop), task.tensors, params, { threads: task.rows, overrides });
    },
  },
  workgroup: {
    kernel: "norm-workgroup",
    idea: "a workgroup per row: neighbours read neighbours, a tree adds up", // for rows that registers don't hold, and GPUs without subgroups
    suits: () => true,
    compute(task) {
      const { params, overrides } = settingsOf(task);
      const code = specialize(workgroupKernels[task.pass], lanesOf(widthOf(task.cols)));
      const SIZE = workgroupFor(task.cols);
      run(dropping(code, task.drop), task.tensors, params, {
        workgroups: task.rows,
        overrides: { ...overrides, SIZE },
      });
    },
  },
  subgroup: {
    kernel: "norm-subgroup",
    idea: "the row stays in registers: read once, sums by swapping registers", // for GPUs with subgroups
    suits: (adapter, { cols }) =>
      adapter.features.includes("subgroups") &&
      cols > 0 &&
      teamFor(cols, adapter.subgroupSize[0]).consts.VECTORS <= HELD,
    compute(task) {
      const { params, overrides } = settingsOf(task);
      const team = teamFor(task.cols, device().adapter.subgroupSize[0]);
      run(dropping(specialize(subgroupKernels[task.pass], team.consts), task.drop), task.tensors, params, {
        workgroups: ceilDiv(task.rows, team.rowsPerGroup),
        overrides: { ...overrides, ...team.overrides },
      });
    },
  },
} satisfies Record<string, Unnamed<NormRung>>;

export const normLadder = ladder<NormRung, keyof typeof rungs>("norm", rungs, "rows");
