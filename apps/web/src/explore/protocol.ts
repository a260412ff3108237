// What the page and the explorer's worker say to each other.
import type { Row } from "../../../../bench/src/harness.ts";

export type OpName =
  "matmul" | "softmax" | "layer-norm" | "gelu" | "attention" | "cross-entropy" | "embedding" | "adamw";

export type Pass = "forward" | "backward";
export type Sizes = Record<string, number>;

/** A case: an op's pass at sizes. */
export interface Job {
  op: OpName;
  pass: Pass;
  sizes: Sizes;
}

/** A kernel as a rung runs it: overrides and consts have the values that the host gives them. */
export interface Source {
  file: string;
  code: string;
  /** The fields of its Params, and the workgroups that are started. */
  params: Record<string, number | readonly number[]>;
  groups: readonly [number, number, number];
}

export interface RungInfo {
  /** Its place in the ladder; undefined where there is no ladder, only what the op takes. */
  rung: number | undefined;
  name: string;
  idea: string;
  /** Why it is not offered here, if it isn't. */
  missing?: string;
  sources: Source[];
}

export interface AdapterFacts {
  description: string;
  cpu: boolean;
  workgroupBytes: number;
  workgroupInvocations: number;
  subgroupSize: readonly [number, number];
}

/** What the adapter reaches at most. */
export interface Reach {
  f32: number;
  f16: number;
  bytes: number;
  cacheBytes: number;
  clock: "device" | "wall";
}

export type Ask =
  | { type: "open" }
  | { type: "describe"; job: Job }
  | { type: "limits" }
  | { type: "measure"; job: Job; rung: number | undefined; reach: Reach; edited?: Source };

/** An error of WGSL's compiler, at a line counted from 1. */
export interface CompileError {
  line: number;
  text: string;
}

export interface Answers {
  open: AdapterFacts;
  describe: RungInfo[];
  limits: Reach;
  measure: { row?: Row; errors: CompileError[] };
}
