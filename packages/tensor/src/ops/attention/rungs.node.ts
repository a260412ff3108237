import * as cpuCodes from "./codes.cpu.ts";
import * as matrixCodes from "./codes.matrix.ts";
import * as naiveCodes from "./codes.naive.ts";
import * as cpu from "./rungs.cpu.ts";
import * as matrix from "./rungs.matrix.ts";
import * as naive from "./rungs.naive.ts";

export const cpuRungs = cpu.cpuRungs(cpuCodes);
export const matrixRungs = matrix.matrixRungs(matrixCodes);
export const naiveRungs = naive.naiveRungs(naiveCodes);
