import { type AdapterInfo } from "../../runtime/adapter.ts";
import { type Device } from "../../runtime/device.ts";
import { device } from "../../runtime/init.ts";
import { matmulKernels } from "./ladder.ts";
import type { MatmulKernel, MatmulSizes } from "./task.ts";
import { splitsFor, tilesOf } from "./tiles.ts";

/** The kernels for matrix units from the one with the largest tiles of which there are enough. */
function matrixKernels(sizes: MatmulSizes): MatmulKernel[] {
  const { matrixSmall, matrixMedium, matrixLarge } = matmulKernels;
  const tiles = tilesOf(sizes, 128) * splitsFor(sizes, 128);
  return [...(tiles >= 192 ? [matrixLarge] : []), ...(tiles >= 96 ? [matrixMedium] : []), matrixSmall];
}

/** Which kernels for which device and sizes, the best first: the first that suits is taken. */
const table: Record<"cpu" | "gpu", (sizes: MatmulSizes) => MatmulKernel[]> = {
  cpu: ({ M, N }) => (Math.min(M, N) < 4 ? [] : [matmulKernels.subgroup, matmulKernels.registers]),
  gpu: (sizes) => {
    const { M, N } = sizes;
    const { tiled, tiledLarge } = matmulKernels;
    if (Math.min(M, N) < 16) return []; // mostly empty tiles
    const large = tilesOf(sizes, 128) * splitsFor(sizes, 128) >= 224; // workgroups: 7/8 of enough
    return [...matrixKernels(sizes), ...(large ? [tiledLarge] : []), tiled];
  },
};
/** Which kernel for which device and sizes, by rule: the first of the table that suits. */
export function chooseMatmul(adapter: AdapterInfo, sizes: MatmulSizes): MatmulKernel {
  const order = table[adapter.cpu ? "cpu" : "gpu"](sizes);
  return order.find((kernel) => kernel.suits(adapter, sizes)) ?? matmulKernels.naive;
}

/** A kernel, and in how many parts it takes k, if not by its own rule. */
export interface Choice {
  kernel: MatmulKernel;
  splits?: number | undefined;
}

/** What a tuning calls a product: `matmul 768×768×4096 f32`. */
export const tuningKey = ({ M, N, K, batches, precision }: MatmulSizes): string =>
  `matmul ${[...(batches > 1 ? [batches] : []), M, N, K].join("×")} ${precision}`;

/** A choice as a tuning has it: `tiledLarge`, or `tiledLarge/8`. */
export function choiceFrom(text: string): Choice | undefined {
  const [name, splits] = text.split("/");
  const kernel = (matmulKernels as Record<string, MatmulKernel>)[name!];
  return kernel && { kernel, splits: splits === undefined ? undefined : Number(splits) };
}

/** What was measured to be fastest, where there is such a measurement. */
export function tunedMatmul(
  { adapter, tuning }: Pick<Device, "adapter" | "tuning">,
  sizes: MatmulSizes,
): Choice | undefined {
  if (tuning.size === 0) return undefined;
  const choice = choiceFrom(tuning.get(tuningKey(sizes)) ?? "");
  return choice?.kernel.suits(adapter, sizes) ? choice : undefined;
}

/** For tests and measurements: the kernel to take, whatever the device and the shape, and in how many parts it is to take k. */
export const force: { kernel: MatmulKernel | undefined; splits?: number | undefined } = { kernel: undefined };

export function choose(sizes: MatmulSizes): Choice {
  if (force.kernel) return { kernel: force.kernel, splits: force.splits };
  const current = device();
  return tunedMatmul(current, sizes) ?? { kernel: chooseMatmul(current.adapter, sizes) };
}
