import type { Takes } from "../../arguments.ts";
import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { constantOf, kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import code from "./activation.wgsl";

const activationKernel = kernel("ops/activation/activation.wgsl", code);

type Fn =
  | "softplus"
  | "logsigmoid"
  | "leaky_relu"
  | "elu"
  | "mish"
  | "hardswish"
  | "hardsigmoid"
  | "log1p"
  | "expm1"
  | "log_add";

/** The constants a, b and c of a function of activation.wgsl. */
type Constants = readonly [a?: number, b?: number, c?: number];

/** f(x) of an f32 tensor or, with `dy`, dy f'(x). Nothing is recorded. */
export function applyActivation(fn: Fn, x: Tensor, [a = 0, b = 0, c = 0]: Constants = [], dy?: Tensor): Tensor {
  const y = empty(x.shape);
  const vectors = ceilDiv(x.size, 4);
  const overrides = { FN: constantOf(activationKernel, fn), DERIVATIVE: Number(dy !== undefined) };
  run(activationKernel, { x, dy: dy ?? x, y }, { vectors, a, b, c }, { threads: vectors, overrides });
  return y;
}

function record(fn: Fn, given: Tensor, constants?: Constants) {
  const x = isFloat(given.dtype) ? given : cast(given, "f32");
  return { output: applyActivation(fn, x, constants), inputs: { x: given }, saved: { x, constants } };
}

type Saved = ReturnType<typeof record>["saved"];

const goBack =
  (fn: Fn) =>
  ({ x, constants }: Saved, dy: Tensor) => ({ x: applyActivation(fn, x, constants, dy) });

/** An op of x alone. */
const define = (name: string, fn: Fn) =>
  defineOp(name, { takes: { x: "tensor" }, forward: (x: Tensor) => record(fn, x), backward: goBack(fn) });

/** An op with options, which say the function's constants. */
const defineWith = <Options extends object>(
  name: string,
  fn: Fn,
  options: Takes,
  constantsOf: (options: Options) => Constants,
) =>
  defineOp(name, {
    takes: { x: "tensor", options },
    forward: (x: Tensor, options: Options = {} as Options) => record(fn, x, constantsOf(options)),
    backward: goBack(fn),
  });

/** ln(1 + x), which keeps a small x; −∞ at −1, NaN below. */
export const log1p = define("log1p", "log1p");

/** eˣ − 1, which keeps a small x. */
export const expm1 = define("expm1", "expm1");

/** ln σ(x) = −ln(1 + e⁻ˣ). */
export const logsigmoid = define("logsigmoid", "logsigmoid");

/** x tanh(ln(1 + eˣ)). @see https://arxiv.org/abs/1908.08681 */
export const mish = define("mish", "mish");

/** x · min(max(x + 3, 0), 6) / 6; dx at −3 is 0 and at 3 dy. @see https://arxiv.org/abs/1905.02244 */
export const hardswish = define("hardswish", "hardswish");

/** min(max(x + 3, 0), 6) / 6; dx = 0 at both ends. */
export const hardsigmoid = define("hardsigmoid", "hardsigmoid");

/** ln(1 + e^(βx)) / β, and x itself where βx > `threshold`; β is 1 and the threshold 20 unless given. */
export const softplus = defineWith(
  "softplus",
  "softplus",
  { beta: "number?", threshold: "number?" },
  ({ beta = 1, threshold = 20 }: { beta?: number; threshold?: number }) => {
    check(beta > 0, () => `softplus: beta is ${beta}, not a positive number.`);
    return [beta, threshold];
  },
);

/** x where x > 0, else `negativeSlope` (0.01) times x; at 0 the slope is the negative one. */
export const leakyRelu = defineWith(
  "leakyRelu",
  "leaky_relu",
  { negativeSlope: "number?" },
  ({ negativeSlope = 0.01 }: { negativeSlope?: number }) => [negativeSlope],
);

/** x where x > 0, else `alpha` (eˣ − 1); alpha is 1. @see https://arxiv.org/abs/1511.07289 */
export const elu = defineWith("elu", "elu", { alpha: "number?" }, ({ alpha = 1 }: { alpha?: number }) => [1, alpha, 1]);

/** x where x > 0, else `alpha` (e^(x/α) − 1), which has a slope of 1 at 0; alpha is 1. @see https://arxiv.org/abs/1704.07483 */
export const celu = defineWith("celu", "elu", { alpha: "number?" }, ({ alpha = 1 }: { alpha?: number }) => {
  check(alpha > 0, () => `celu: alpha is ${alpha}, not a positive number.`);
  return [1, alpha, 1 / alpha];
});

const [SELU_ALPHA, SELU_SCALE] = [1.6732632423543772, 1.0507009873554805];

/** 1.0507 times x where x > 0, else 1.6733 (eˣ − 1). @see https://arxiv.org/abs/1706.02515 */
export const selu = defineOp("selu", {
  takes: { x: "tensor" },
  forward: (x: Tensor) => record("elu", x, [SELU_SCALE, SELU_SCALE * SELU_ALPHA, 1]),
  backward: goBack("elu"),
});
