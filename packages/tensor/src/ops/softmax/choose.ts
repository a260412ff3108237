import { softmaxKernels, teamFor, type Capabilities, type Lines, type Pass, type SoftmaxKernel } from "./ladder.ts";

/** Which kernel for which device and lines: the first that suits. */
export function chooseSoftmax(pass: Pass, lines: Lines, capabilities: Capabilities): SoftmaxKernel {
  const { naive, rows, workgroup, subgroup } = softmaxKernels;
  const { cpu, subgroupSize } = capabilities.adapter;
  const { consts, overrides } = teamFor(pass, lines, subgroupSize[0]);
  // Lavapipe gains by sharing a row if reads outweigh swaps: no workgroup memory, and four vec4s each (measured: 128 to 256 columns).
  const shares = overrides.TEAM === 8 && overrides.SPAN === 8 && consts.WIDTH === 4 && consts.VECTORS >= 4;
  // Two passes take an exp more per read: for a vec4 that is little, but alone it costs a CPU as much as the third read.
  const onCpu: SoftmaxKernel[] = [...(shares ? [subgroup] : []), consts.WIDTH === 4 ? rows : naive];
  const onGpu: SoftmaxKernel[] = lines.cols < 32 ? [subgroup] : [subgroup, workgroup];
  return (cpu ? onCpu : onGpu).find((kernel) => kernel.suits(pass, lines, capabilities)) ?? rows;
}
