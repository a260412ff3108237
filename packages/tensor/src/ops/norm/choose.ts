import { type AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { normLadder, type NormRung, type NormSizes } from "./ladder.ts";

/** Which rung for which device and rows, by rule. */
export function chooseNorm(adapter: AdapterInfo, sizes: NormSizes): NormRung {
  const { rows, workgroup, subgroup } = normLadder.rungs;
  if (adapter.cpu) return rows;
  if (subgroup.suits(adapter, sizes)) return subgroup;
  return sizes.cols < 32 ? rows : workgroup;
}

export const choose = (sizes: NormSizes): NormRung => normLadder.forced?.rung ?? chooseNorm(device().adapter, sizes);
