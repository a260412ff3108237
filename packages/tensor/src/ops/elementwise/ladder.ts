import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import type { Tensor } from "../../tensor.ts";
import { ladder, type Rung, type Unnamed } from "../ladder.ts";
import { applyUnary } from "./apply.ts";
import naiveCode from "./gelu-naive.wgsl";

const naiveKernel = kernel("ops/elementwise/gelu-naive.wgsl", naiveCode);

/** y = the exact GELU of x, both f32. */
export interface GeluTask {
  x: Tensor;
  y: Tensor;
}

export type GeluRung = Rung<unknown, GeluTask>;

/** The next step, in the epilogue of a matmul, is linearGelu's (ops/matmul/epilogue-gelu.wgsl). */
const rungs = {
  naive: {
    kernel: "gelu-naive",
    idea: "one invocation per element",
    suits: () => true,
    compute: ({ x, y }) => run(naiveKernel, { x, y }, { count: x.size }, { threads: x.size }),
  },
  fours: {
    kernel: "unary",
    idea: "four elements per invocation: 16-byte reads and writes",
    suits: () => true,
    compute: ({ x, y }) => void applyUnary("gelu", x, undefined, y),
  },
} satisfies Record<string, Unnamed<GeluRung>>;

export const geluLadder = ladder<GeluRung, keyof typeof rungs>("gelu", rungs, "naive");
