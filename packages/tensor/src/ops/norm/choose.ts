import { type AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { firstThatSuits } from "../ladder.ts";
import { normLadder, type NormRung, type NormSizes } from "./ladder.ts";

/** Which rung for which device and rows, by rule. */
export function chooseNorm(adapter: AdapterInfo, sizes: NormSizes): NormRung {
  const { workgroup, subgroup } = normLadder.rungs;
  const onGpu = sizes.cols < 32 ? [subgroup] : [subgroup, workgroup];
  return firstThatSuits(normLadder, adapter.cpu ? [] : onGpu, adapter, sizes);
}

export const choose = (sizes: NormSizes): NormRung => normLadder.forced?.rung ?? chooseNorm(device().adapter, sizes);
