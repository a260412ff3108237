import { type AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { kernel, replaceFunction, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
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
export interface NormTask {
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

/** What forward and backward read and write: all of the names in norm-rows.wgsl or norm-rows-backward.wgsl. */
export type NormTensors = Record<string, Tensor>;

/** A way to normalize rows, and to compute dx. All give the same result, up to rounding. */
export interface NormKernel {
  readonly name: string;
  /** Whether it can compute this here at all. */
  suits(adapter: AdapterInfo, task: NormTask): boolean;
  compute(tensors: NormTensors, task: NormTask): void;
}

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
function settingsOf({ pass, rows, cols, eps, center, residual, weight, bias, drop }: NormTask) {
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

/** The ladder: the same norm, with ever fewer and wider reads. */
export const normKernels = {
  /** One invocation per row, element by element: for readers. */
  naive: {
    name: "norm-naive",
    suits: (_adapter, { pass, center, residual, weight, bias, drop }) =>
      center && weight && !drop && (pass === "backward" || (!residual && bias)),
    compute(tensors, { pass, rows, cols, eps }) {
      const { x, dy, h, weight, bias, y, dh, stats } = tensors as Record<string, Tensor>;
      if (pass === "forward") {
        run(naiveKernels.forward, { x: x!, weight: weight!, bias: bias!, y: y!, stats: stats! }, { rows, cols, eps }, { threads: rows }); // prettier-ignore
      } else {
        run(naiveKernels.backward, { dy: dy!, h: h!, weight: weight!, stats: stats!, dh: dh! }, { rows, cols }, { threads: rows }); // prettier-ignore
      }
    },
  },
  /** One invocation per row, by vec4 where rows are whole ones: for CPUs, and for short rows on GPUs without subgroups. */
  rows: {
    name: "norm-rows",
    suits: () => true,
    compute(tensors, task) {
      const { params, overrides } = settingsOf(task);
      const code = specialize(rowsKernels[task.pass], lanesOf(widthOf(task.cols)));
      run(dropping(code, task.drop), tensors, params, { threads: task.rows, overrides });
    },
  },
  /** A workgroup per row, which reads it side by side: for GPUs without subgroups, and rows that registers don't hold. */
  workgroup: {
    name: "norm-workgroup",
    suits: () => true,
    compute(tensors, task) {
      const { params, overrides } = settingsOf(task);
      const code = specialize(workgroupKernels[task.pass], lanesOf(widthOf(task.cols)));
      const SIZE = workgroupFor(task.cols);
      run(dropping(code, task.drop), tensors, params, { workgroups: task.rows, overrides: { ...overrides, SIZE } });
    },
  },
  /** The row in registers, read once: for GPUs with subgroups. */
  subgroup: {
    name: "norm-subgroup",
    suits: (adapter, { cols }) =>
      adapter.features.includes("subgroups") &&
      cols > 0 &&
      teamFor(cols, adapter.subgroupSize[0]).consts.VECTORS <= HELD,
    compute(tensors, task) {
      const { params, overrides } = settingsOf(task);
      const team = teamFor(task.cols, device().adapter.subgroupSize[0]);
      run(dropping(specialize(subgroupKernels[task.pass], team.consts), task.drop), tensors, params, {
        workgroups: ceilDiv(task.rows, team.rowsPerGroup),
        overrides: { ...overrides, ...team.overrides },
      });
    },
  },
} satisfies Record<string, NormKernel>;
