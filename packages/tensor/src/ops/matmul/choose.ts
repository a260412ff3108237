import { type AdapterInfo } from "../../runtime/adapter.ts";
import { type Device } from "../../runtime/device.ts";
import { device } from "../../runtime/init.ts";
import { choiceFrom, firstThatSuits, type Choice } from "../ladder.ts";
import { matmulLadder } from "./ladder.ts";
import type { MatmulRung, MatmulSizes } from "./task.ts";
import { splitsFor, tilesOf } from "./tiles.ts";

/** The rungs for matrix units from the one with the largest tiles of which there are enough. */
function matrixRungs(sizes: MatmulSizes): MatmulRung[] {
  const { matrixSmall, matrixMedium, matrixLarge } = matmulLadder.rungs;
  const tiles = tilesOf(sizes, 128) * splitsFor(sizes, 128);
  return [...(tiles >= 192 ? [matrixLarge] : []), ...(tiles >= 96 ? [matrixMedium] : []), matrixSmall];
}

/** Whether tiles of up to 32 rows take less time than those of 64, of which one takes 1.7 times as long as one of 32. */
const isFewRows = (M: number): boolean => Math.ceil(M / 32) < 1.7 * Math.ceil(M / 64);

/** Which rungs for which device and sizes, the best first: the first that suits is taken. */
const table: Record<"cpu" | "gpu", (sizes: MatmulSizes) => MatmulRung[]> = {
  cpu: ({ M, N }) => {
    const { rows, subgroup, registers } = matmulLadder.rungs;
    if (Math.min(M, N) < 4) return N < 32 ? [] : [rows];
    return [...(isFewRows(M) ? [rows] : []), subgroup, registers];
  },
  gpu: (sizes) => {
    const { M, N } = sizes;
    const { tiled, tiledLarge } = matmulLadder.rungs;
    if (Math.min(M, N) < 16) return []; // mostly empty tiles
    const large = tilesOf(sizes, 128) * splitsFor(sizes, 128) >= 224; // workgroups: 7/8 of enough
    return [...matrixRungs(sizes), ...(large ? [tiledLarge] : []), tiled];
  },
};

/** Which rung for which device and sizes, by rule: the first of the table that suits. */
export function chooseMatmul(adapter: AdapterInfo, sizes: MatmulSizes): MatmulRung {
  const order = table[adapter.cpu ? "cpu" : "gpu"](sizes);
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
