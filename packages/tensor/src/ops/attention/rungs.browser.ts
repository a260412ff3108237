import { hasMatrixUnits, isCpu, laterRungs } from "../later-rungs.ts";
import type { AttentionRung } from "./rung.ts";
import * as cpu from "./rungs.cpu.ts";
import * as matrix from "./rungs.matrix.ts";
import * as naive from "./rungs.naive.ts";

export const cpuRungs = laterRungs<AttentionRung, "registers" | "subgroup">(
  ["registers", "subgroup"],
  isCpu,
  async () => cpu.cpuRungs(await import("./codes.cpu.ts")),
);

export const matrixRungs = laterRungs<AttentionRung, "subgroupMatrix">(["subgroupMatrix"], hasMatrixUnits, async () =>
  matrix.matrixRungs(await import("./codes.matrix.ts")),
);

export const naiveRungs = laterRungs<AttentionRung, "naive">(
  ["naive"],
  () => false,
  async () => naive.naiveRungs(await import("./codes.naive.ts")),
);
