import { type AdapterInfo } from "../../runtime/adapter.ts";
import { normKernels, type NormKernel, type NormTask } from "./ladder.ts";

/** Which kernel for which device and rows. */
export function chooseNorm(adapter: AdapterInfo, task: NormTask): NormKernel {
  const { rows, workgroup, subgroup } = normKernels;
  if (adapter.cpu) return rows;
  if (subgroup.suits(adapter, task)) return subgroup;
  return task.cols < 32 ? rows : workgroup;
}
