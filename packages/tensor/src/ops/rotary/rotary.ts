import { checked } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { ones, zeros } from "../create/create.ts";
import { mul, sub } from "../elementwise/binary.ts";
import { cos, exp, sin } from "../elementwise/unary.ts";
import { cast } from "../cast/cast.ts";
import { cumsum } from "../reduce/cumsum.ts";
import { sum } from "../reduce/sum.ts";
import { reshape, unsqueeze } from "../shape/reshape.ts";
import { slice } from "../shape/slice.ts";
import rotaryCode from "./rotary.wgsl";

const rotaryKernel = kernel("ops/rotary/rotary.wgsl", rotaryCode);

/** The cosines and sines of rotary positions, [T, D/2] or [B, T, D/2] each. */
export interface RotaryAngles {
  cosine: Tensor;
  sine: Tensor;
}

/** 0, 1, … n − 1 as f32, made on the device: unlike `arange` it uploads nothing, so recorded work may call it. */
export const countUp = checked("countUp", { n: "number" }, (n: number): Tensor =>
  sub(cumsum(ones([n]), { dim: 0 }), 1),
);

/**
 * cos and sin of t · theta^(−2d / D) for positions t and pairs d of a head.
 *
 * @param tokens how many there are, at positions 0, 1, …; or their positions, a tensor [T] or [B, T]
 * @param headDim D; less than a head has to leave its last elements as they are
 * @see Su et al., RoFormer, 2021. https://arxiv.org/abs/2104.09864
 */
export const rotaryAngles = checked(
  "rotaryAngles",
  { tokens: "operand", headDim: "number", options: { theta: "number?" } },
  (tokens: number | Tensor, headDim: number, { theta = 10_000 }: { theta?: number } = {}): RotaryAngles => {
    check(headDim % 2 === 0, () => `rotaryAngles: headDim ${headDim} is odd; its elements are turned in pairs.`);
    check(theta > 0, () => `rotaryAngles: theta is ${theta}, not a positive number.`);
    const positions = typeof tokens === "number" ? countUp(tokens) : cast(tokens, "f32");
    const frequencies = exp(mul(countUp(headDim / 2), (-2 * Math.log(theta)) / headDim));
    const angles = mul(unsqueeze(positions, -1), frequencies);
    return { cosine: cos(angles), sine: sin(angles) };
  },
);

/** Options of {@link rotary}. */
export interface RotaryOptions {
  /** Pairs are elements 2d and 2d + 1, as in GPT-J and Meta's own files of Llama, rather than d and d + R/2. */
  interleaved?: boolean | undefined;
}

function turn(x: Tensor, { cosine, sine }: RotaryAngles, INTERLEAVED: boolean, BACK: boolean): Tensor {
  const [, , heads, headDim] = x.shape as [number, number, number, number];
  const y = empty(x.shape);
  const half = cosine.shape.at(-1)!;
  const lanes = headDim - half;
  const count = headDim === 0 ? 0 : (x.size / headDim) * lanes;
  const rows = half === 0 ? 1 : cosine.size / half;
  const overrides = { BACK: +BACK, INTERLEAVED: +INTERLEAVED };
  run(rotaryKernel, { x, cosine, sine, y }, { count, rows, heads, half, lanes }, { threads: count, overrides });
  return y;
}

/**
 * Rotary positions: each pair of elements d and d + R/2 of a head is turned by its token's angle, so that q·k depends on how far two
 * tokens are apart. x is f32 [B, T, H, D], y likewise. Elements of a head after the first R stay as they are.
 *
 * @param cosine [T, R/2], or [B, T, R/2] where rows have positions of their own, of {@link rotaryAngles}
 * @param sine likewise
 */
export const rotary = defineOp("rotary", {
  takes: { x: "tensor", cosine: "tensor", sine: "tensor", options: { interleaved: "boolean?" } },
  forward(x: Tensor, cosine: Tensor, sine: Tensor, { interleaved = false }: RotaryOptions = {}) {
    const [B, T, , D] = x.shape;
    const fits = ({ shape, dtype }: Tensor): boolean =>
      dtype === "f32" && 2 * shape.at(-1)! <= D! && [`${T}`, `${B},${T}`].includes(shape.slice(0, -1).join());
    check(
      x.dtype === "f32" && x.rank === 4 && fits(cosine) && fits(sine) && sameShape(cosine.shape, sine.shape),
      () =>
        `rotary: x ${showShape(x.shape)} of ${x.dtype} with angles ${showShape(cosine.shape)} and ${showShape(sine.shape)}. ` +
        `It takes floats [B, T, H, D] and angles [T, R/2] or [B, T, R/2], where R is at most D.`,
    );
    const learned = cosine.requiresGrad || sine.requiresGrad; // else x need not be kept
    return {
      output: turn(x, { cosine, sine }, interleaved, false),
      inputs: { x, ...(learned && { cosine, sine }) },
      saved: { cosine, sine, interleaved, ...(learned && { x }) },
    };
  },
  backward({ x, interleaved, ...angles }, dy, needs) {
    const gradients: Partial<Record<"x" | "cosine" | "sine", Tensor>> = {};
    if (needs.x) gradients.x = turn(dy, angles, interleaved, true);
    if (!x) return gradients;
    const { shape } = angles.cosine;
    if (needs.cosine) gradients.cosine = angleGradient(mul(dy, x), shape, interleaved);
    if (needs.sine) {
      const quarter = { cosine: zeros(shape), sine: ones(shape) };
      gradients.sine = angleGradient(mul(dy, turn(x, quarter, interleaved, false)), shape, interleaved);
    }
    return gradients;
  },
});

/** Sums of pairs, heads and, where rows share their angles, rows. */
function angleGradient(products: Tensor, shape: Shape, interleaved: boolean): Tensor {
  const half = shape.at(-1)!;
  const tokens = sum(products, { dim: shape.length === 3 ? [2] : [0, 2] });
  const turned = slice(tokens, [...shape.slice(0, -1).map(() => [] as const), [0, 2 * half]]);
  const pairs = reshape(turned, [...shape.slice(0, -1), ...(interleaved ? [half, 2] : [2, half])]);
  return sum(pairs, { dim: interleaved ? -1 : -2 });
}
