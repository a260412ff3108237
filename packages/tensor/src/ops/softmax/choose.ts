import { type AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { firstThatSuits } from "../ladder.ts";
import { softmaxLadder, teamFor, type SoftmaxRung, type SoftmaxSizes } from "./ladder.ts";

/** Which rung for which device and lines, by rule: the first that suits. */
export function chooseSoftmax(adapter: AdapterInfo, sizes: SoftmaxSizes): SoftmaxRung {
  const { naive, rows, workgroup, subgroup } = softmaxLadder.rungs;
  const { consts, overrides } = teamFor(sizes.pass, sizes, adapter.subgroupSize[0]);
  // Lavapipe gains by sharing a row if reads outweigh swaps: no workgroup memory, and four vec4s each (measured: 128 to 256 columns).
  const shares = overrides.TEAM === 8 && overrides.SPAN === 8 && consts.WIDTH === 4 && consts.VECTORS >= 4;
  // Two passes take an exp more per read: for a vec4 that is little, but alone it costs a CPU as much as the third read.
  const onCpu: SoftmaxRung[] = [...(shares ? [subgroup] : []), consts.WIDTH === 4 ? rows : naive];
  const onGpu: SoftmaxRung[] = sizes.cols < 32 ? [subgroup] : [subgroup, workgroup];
  return firstThatSuits(softmaxLadder, adapter.cpu ? onCpu : onGpu, adapter, sizes);
}

export const choose = (sizes: SoftmaxSizes): SoftmaxRung =>
  softmaxLadder.forced?.rung ?? chooseSoftmax(device().adapter, sizes);
