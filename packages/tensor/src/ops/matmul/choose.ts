import { type AdapterInfo } from "../../runtime/adapter.ts";
import { type Device } from "../../runtime/device.ts";
import { device } from "../../runtime/init.ts";
import { choiceFrom, firstThatSuits, type Choice } from "../ladder.ts";
import { matmulLadder } from "./ladder.ts";
import type { MatmulRung, MatmulSizes } from "./task.ts";
import { splitsFor, tilesOf, workgroupsAtOnce } from "./tiles.ts";

/** How much of a GPU the workgroups for tiles of 128 × 128 fill, parts of k included: above 1 they come in waves. */
const filled = (adapter: AdapterInfo, sizes: MatmulSizes): number =>
  (tilesOf(sizes, 128) * splitsFor(adapter, sizes, 128)) / workgroupsAtOnce(adapter, 128);

/** The rungs for matrix units from the one with the largest tiles of which there are enough. */
function matrixRungs(share: number): MatmulRung[] {
  const { matrixSmall, matrixMedium, matrixLarge } = matmulLadder.rungs;
  return [...(share >= 0.7 ? [matrixLarge] : []), ...(share >= 0.35 ? [matrixMedium] : []), matrixSmall];
}

/** Whether tiles of up to 32 rows take less time than those of 64, of which one takes 1.4 times as long as one of 32. */
const isFewRows = (M: number): boolean => Math.ceil(M / 32) < 1.4 * Math.ceil(M / 64);

/** Which rungs for which device and sizes, the best first: the first that suits is taken. */
const table: Record<"cpu" | "gpu", (sizes: MatmulSizes, adapter: AdapterInfo) => MatmulRung[]> = {
  cpu: ({ M, N, K }) => {
    const { rows, subgroup, registers } = matmulLadder.rungs;
    if (K <= 2 && isFewRows(M)) return []; // as the gradient of a classifier with two labels: the same sums, and one kernel less to compile
    if (Math.min(M, N) < 4) return N < 32 ? [] : [rows];
    return [...(isFewRows(M) ? [rows] : []), subgroup, registers];
  },
  gpu: (sizes, adapter) => {
    const { M, N, K, batches } = sizes;
    const { dots, tiled, tiledLarge } = matmulLadder.rungs;
    // Mostly empty tiles. With an invocation for each element too few of them are at work below some thousands.
    if (Math.min(M, N) < 16) return K >= 128 && M * N * batches <= 4096 ? [dots] : [];
    const share = filled(adapter, sizes);
    return [...matrixRungs(share), ...(share >= 0.85 ? [tiledLarge] : []), tiled];
  },
};

/** Which rung for which device and sizes, by rule: the first of the table that suits. */
export function chooseMatmul(adapter: AdapterInfo, sizes: MatmulSizes): MatmulRung {
  const order = table[adapter.cpu ? "cpu" : "gpu"](sizes, adapter);
  return firstThatSuits(matmulLadder, order, adapter, sizes);
}

/** What a tuning calls a product: `matmul 768×768×4096 f32`. */
export const tuningKey = ({ M, N, K, batches, precision }: MatmulSizes): string =>
  `matmul ${[...(batches > 1 ? [batches] : []), M, N, K].join("×")} ${precision}`;

/** What was measured to be fastest, where there is such a measurement. */
export function tunedMatmul(
  { adapter, tuning }: Pick<Device, "adapter" | "tuning">,
  sizes: MatmulSizes,
): Choice<MatmulRung> | undefined {
  if (tuning.size === 0) return undefined;
  const choice = choiceFrom(matmulLadder, tuning.get(tuningKey(sizes)) ?? "");
  return choice?.rung.suits(adapter, sizes) ? choice : undefined;
}

export function choose(sizes: MatmulSizes): Choice<MatmulRung> {
  const current = device();
  return matmulLadder.forced ?? tunedMatmul(current, sizes) ?? { rung: chooseMatmul(current.adapter, sizes) };
}
