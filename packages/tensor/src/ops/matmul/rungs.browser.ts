import { hasMatrixUnits, isCpu, laterRungs } from "../later-rungs.ts";
import * as cpu from "./rungs.cpu.ts";
import * as matrix from "./rungs.matrix.ts";
import type { MatmulRung } from "./task.ts";

export const cpuRungs = laterRungs<MatmulRung, "registers" | "rows" | "subgroup">(
  ["registers", "rows", "subgroup"],
  isCpu,
  async () => cpu.cpuRungs(await import("./codes.cpu.ts")),
);

export const matrixRungs = laterRungs<MatmulRung, "matrixSmall" | "matrixMedium" | "matrixLarge" | "matrixHalves">(
  ["matrixSmall", "matrixMedium", "matrixLarge", "matrixHalves"],
  hasMatrixUnits,
  async () => matrix.matrixRungs(await import("./codes.matrix.ts")),
);
