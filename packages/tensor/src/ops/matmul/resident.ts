import { check } from "../../errors.ts";
import { kernel, replaceFunction } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { empty } from "../../tensor.ts";
import { zeros } from "../create/create.ts";
import countCode from "./count-resident.wgsl";
import tiledCode from "./matmul-tiled.wgsl";

const tiledKernel = kernel("ops/matmul/matmul-tiled.wgsl", tiledCode);
const countingKernel = replaceFunction(replaceFunction(tiledKernel, "write_row_sums", ""), "take_rows", countCode); // its file has both

/** Invocations of a product by tiles of 128 × 128 that the device has at work at once. Kernels of one tile's size take about as many registers. */
export async function countResident(layers = 16): Promise<number> {
  const [M, N, K] = [1024, 1024, 512]; // 64 workgroups, again and again: all write the same C, for its step is 0
  const [a, b, c] = [empty([M, K]), empty([K, N]), empty([M, N])];
  const counts = zeros([3], { dtype: "u32" });
  const sizes = {
    M,
    N,
    K,
    splits: 1,
    chunk: K,
    a_row: K,
    a_col: 1,
    b_row: N,
    b_col: 1,
    bias: 0,
    accumulate: 0,
    one: 1,
  };
  const places = { a_first: 0, b_first: 0, c_first: 0, a_step: 0, b_step: 0, c_step: 0 };
  run(
    countingKernel,
    { a, b, bias: a, c, a4: a, b4: b, counts },
    { ...sizes, ...places },
    { workgroups: [N / 128, M / 128, layers], overrides: { SIDE: 2, BLOCKS: 4 } },
  );
  const [, , most] = await counts.data();
  for (const tensor of [a, b, c, counts]) tensor.dispose();
  check(Number(most) > 0, "matmul-tiled: no invocation was counted.");
  return Number(most);
}

/** What is counted. */
export const residentCode = tiledCode + countCode;
