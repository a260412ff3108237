import { benches as attention } from "../../../packages/tensor/src/ops/attention/attention.bench.ts";
import { benches as elementwise } from "../../../packages/tensor/src/ops/elementwise/elementwise.bench.ts";
import { benches as matmul } from "../../../packages/tensor/src/ops/matmul/matmul.bench.ts";
import { benches as norm } from "../../../packages/tensor/src/ops/norm/norm.bench.ts";
import { benches as softmax } from "../../../packages/tensor/src/ops/softmax/softmax.bench.ts";
import type { BenchCase } from "../../../packages/tensor/src/testing/bench-op.ts";

/** The cases of each room of `packages/tensor/src/ops`, by its name. */
export const rooms: Record<string, BenchCase[]> = { matmul, softmax, norm, elementwise, attention };
