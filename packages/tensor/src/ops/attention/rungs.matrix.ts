import { check } from "../../errors.ts";
import type { AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { kernel } from "../../runtime/kernel.ts";
import type * as Codes from "./codes.matrix.ts";
import { rungOf } from "./rung.ts";

/** Subgroups of a workgroup, as the kernels for matrix units have them. */
const SUBGROUPS = 4;

/** Whether a GPU's matrices are square and divide a head, and what dk and dv take of workgroup memory, which is most, is there. */
function matricesFit(adapter: AdapterInfo, headDim: number): boolean {
  const { subgroupMatrix, subgroupSize, workgroupInvocations, workgroupBytes } = adapter;
  if (!subgroupMatrix || subgroupMatrix.problem) return false;
  const { M, N, K } = subgroupMatrix;
  const invocations = SUBGROUPS * subgroupSize[1];
  const [rows, tile] = [SUBGROUPS * M, 2 * M];
  const bytes = 2 * (rows + tile) * (2 * headDim + 16) + 2 * tile * (4 * rows + 32);
  const shares = (rows / 4) % (invocations / tile) === 0 && (tile / 4) % (invocations / rows) === 0; // of a line of scores
  return (
    M === N &&
    N === K &&
    headDim % M === 0 &&
    headDim <= 4 * M &&
    shares &&
    invocations <= workgroupInvocations &&
    bytes <= workgroupBytes
  );
}

/** For GPUs with matrix units, in mixed precision. */
/* @__NO_SIDE_EFFECTS__ */
export const matrixRungs = (codes: typeof Codes) => ({
  subgroupMatrix: rungOf({
    kernel: "attention-subgroup-matrix",
    idea: "matrix units multiply, and the sums stay in them",
    kernels: {
      forward: kernel("ops/attention/attention-subgroup-matrix.wgsl", codes.forward),
      dq: kernel("ops/attention/attention-dq-subgroup-matrix.wgsl", codes.dq),
      dkv: kernel("ops/attention/attention-dkv-subgroup-matrix.wgsl", codes.dkv),
    },
    suits: (adapter, { headDim, precision }) => precision === "f16" && matricesFit(adapter, headDim),
    readsBits: true,
    width: 4,
    tuning(_pass, headDim) {
      const { subgroupMatrix, subgroupSize } = device().adapter;
      check(subgroupMatrix, "attention-subgroup-matrix: this adapter offers no subgroup matrices of f16.");
      const MATRIX = subgroupMatrix.M;
      const consts = { MATRIX, INVOCATIONS: SUBGROUPS * subgroupSize[1], VECTORS: headDim / 4 };
      return { consts, rows: SUBGROUPS * MATRIX };
    },
  }),
});
