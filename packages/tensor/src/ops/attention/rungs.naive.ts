import { kernel } from "../../runtime/kernel.ts";
import dkvNaiveCode from "./attention-dkv-naive.wgsl";
import dqNaiveCode from "./attention-dq-naive.wgsl";
import type * as Codes from "./codes.naive.ts";
import { rungOf, type Passes } from "./rung.ts";

export const naiveBackward = {
  dq: kernel("ops/attention/attention-dq-naive.wgsl", dqNaiveCode),
  dkv: kernel("ops/attention/attention-dkv-naive.wgsl", dkvNaiveCode),
};

/** One invocation per row: any head dimension, any adapter. */
export const plain = {
  suits: () => true,
  addsPositions: true,
  width: 1,
  tuning: (_pass, headDim) => ({ params: { head_dim: headDim }, rows: 64 }),
} satisfies Partial<Passes>;

/** For readers: no rule chooses it. */
/* @__NO_SIDE_EFFECTS__ */
export const naiveRungs = (codes: typeof Codes) => ({
  naive: rungOf({
    kernel: "attention-naive",
    idea: "one invocation per query, two passes over the keys",
    ...plain,
    kernels: { forward: kernel("ops/attention/attention-naive.wgsl", codes.forward), ...naiveBackward },
  }),
});
