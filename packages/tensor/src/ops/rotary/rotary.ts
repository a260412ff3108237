import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { ones } from "../create/create.ts";
import { mul, sub } from "../elementwise/binary.ts";
import { cos, exp, sin } from "../elementwise/unary.ts";
import { cumsum } from "../reduce/cumsum.ts";
import { reshape } from "../shape/reshape.ts";
import rotaryCode from "./rotary.wgsl";

const rotaryKernel = kernel("ops/rotary/rotary.wgsl", rotaryCode);

/** The cosines and sines of rotary positions, [T, D/2] each. */
export interface RotaryAngles {
  cosine: Tensor;
  sine: Tensor;
}

/** 0, 1, … n − 1 as f32, made on the device: unlike `arange` it uploads nothing, so recorded work may call it. */
export const countUp = checked("countUp", { n: "number" }, (n: number): Tensor =>
  sub(cumsum(ones([n]), { dim: 0 }), 1),
);

/**
 * cos and sin of t · theta^(−2d / D) for tokens t and pairs d of a head.
 * @see Su et al., RoFormer, 2021. https://arxiv.org/abs/2104.09864
 */
export const rotaryAngles = checked(
  "rotaryAngles",
  { tokens: "number", headDim: "number", options: { theta: "number?" } },
  (tokens: number, headDim: number, { theta = 10_000 }: { theta?: number } = {}): RotaryAngles => {
    check(headDim % 2 === 0, () => `rotaryAngles: headDim ${headDim} is odd; its elements are turned in pairs.`);
    check(theta > 0, () => `rotaryAngles: theta is ${theta}, not a positive number.`);
    const frequencies = exp(mul(countUp(headDim / 2), (-2 * Math.log(theta)) / headDim));
    const angles = mul(reshape(countUp(tokens), [tokens, 1]), frequencies);
    return { cosine: cos(angles), sine: sin(angles) };
  },
);

function turn(x: Tensor, { cosine, sine }: RotaryAngles, BACK: number): Tensor {
  const [, tokens, heads, headDim] = x.shape as [number, number, number, number];
  const y = empty(x.shape);
  const half = headDim / 2;
  const pairs = x.size / 2;
  run(rotaryKernel, { x, cosine, sine, y }, { pairs, tokens, heads, half }, { threads: pairs, overrides: { BACK } });
  return y;
}

/**
 * Rotary positions: each pair of elements d and d + D/2 of a head is turned by its token's angle, so that q·k depends on how far two
 * tokens are apart. x is f32 [B, T, H, D], y likewise.
 *
 * @param cosine [T, D/2], of {@link rotaryAngles}; no gradient flows to it
 * @param sine likewise
 */
export const rotary = defineOp("rotary", {
  takes: { x: "tensor", cosine: "tensor", sine: "tensor" },
  forward(x: Tensor, cosine: Tensor, sine: Tensor) {
    const [, T, , D] = x.shape;
    const expected = [T!, D! / 2];
    check(
      x.dtype === "f32" && x.rank === 4 && sameShape(cosine.shape, expected) && sameShape(sine.shape, expected),
      () =>
        `rotary: x ${showShape(x.shape)} of ${x.dtype} with angles ${showShape(cosine.shape)} and ${showShape(sine.shape)}. ` +
        `It takes floats [B, T, H, D] and angles [T, D/2].`,
    );
    return { output: turn(x, { cosine, sine }, 0), inputs: { x }, saved: { cosine, sine } };
  },
  backward: (angles, dy) => ({ x: turn(dy, angles, 1) }),
});
