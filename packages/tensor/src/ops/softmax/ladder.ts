import { type Device } from "../../runtime/device.ts";
import { device } from "../../runtime/init.ts";
import { kernel, specialize, type Kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
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
export type Capabilities = Pick<Device, "adapter" | "gpu">;

/** A way to compute softmax or log-softmax of lines, and the gradients. All give the same result, up to rounding. */
export interface SoftmaxKernel {
  readonly name: string;
  /** Whether it can compute this here at all. */
  suits(pass: Pass, lines: Lines, capabilities: Capabilities): boolean;
  /** Forward takes tensors x and y, backward y, dy and dx. */
  compute(pass: Pass, tensors: Record<string, Tensor>, lines: Lines, log: boolean): void;
}

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

/** The ladder: the same softmax, with ever fewer reads of memory. */
export const softmaxKernels = {
  /** One invocation per line, three passes, element by element: for readers, and for CPUs where lines aren't whole vec4s. */
  naive: {
    name: "softmax-naive",
    suits: (pass) => pass === "forward",
    compute: (_pass, tensors, lines, log) =>
      run(naiveKernel, tensors, { ...lines }, { threads: lines.rows, overrides: { LOG: +log } }),
  },
  /** One invocation per line, two passes, by vec4 where it can: for CPUs, and on GPUs for lines whose elements lie apart. */
  rows: {
    name: "softmax-rows",
    suits: () => true,
    compute(pass, tensors, lines, log) {
      const code: Kernel = specialize(rowsKernels[pass], lanesOf(widthOf(lines)));
      run(code, tensors, { ...lines }, { threads: lines.rows, overrides: { LOG: +log } });
    },
  },
  /** A workgroup for each row, maximum and sum in one pass: for rows that don't fit into registers, and for GPUs without subgroups. */
  workgroup: {
    name: "softmax-workgroup",
    suits: (_pass, { inner }) => inner === 1,
    compute(pass, tensors, lines, log) {
      const width = widthOf(lines);
      const params = { rows: lines.rows, vectors: lines.cols / width };
      const overrides = { LOG: +log, SIZE: workgroupFor(lines.cols) };
      run(specialize(workgroupKernels[pass], lanesOf(width)), tensors, params, { workgroups: lines.rows, overrides });
    },
  },
  /** Rows in registers, read once: for GPUs with subgroups. */
  subgroup: {
    name: "softmax-subgroup",
    suits: (pass, lines, { adapter, gpu }) =>
      lines.inner === 1 &&
      lines.cols > 0 &&
      adapter.features.includes("subgroups") &&
      teamFor(pass, lines, adapter.subgroupSize[0]).overrides.SIZE <= gpu.limits.maxComputeInvocationsPerWorkgroup,
    compute(pass, tensors, lines, log) {
      const { consts, overrides, vectors, rowsPerGroup } = teamFor(pass, lines, device().adapter.subgroupSize[0]);
      const workgroups = ceilDiv(lines.rows, rowsPerGroup);
      const params = { rows: lines.rows, vectors };
      run(specialize(subgroupKernels[pass], consts), tensors, params, {
        workgroups,
        overrides: { LOG: +log, ...overrides },
      });
    },
  },
} satisfies Record<string, SoftmaxKernel>;
