/**
 * `torch.nn.init`: each fills a parameter in place, drawing from the default generator. (Not called `init`, which is how
 * @gpugrad/tensor gets its device.)
 *
 * @see https://docs.pytorch.org/docs/2.9/nn.init.html
 */
import {
  add,
  check,
  checked,
  clamp,
  erf,
  fill,
  fromArray,
  log,
  lt,
  mul,
  neg,
  rand,
  randn,
  reshape,
  showShape,
  sqrt,
  sub,
  where,
  type Tensor,
} from "@gpugrad/tensor";
import { setValue } from "./parameter.ts";

export const zeros = (parameter: Tensor): void => fill(parameter, 0);
export const ones = (parameter: Tensor): void => fill(parameter, 1);
export const constant = (parameter: Tensor, value: number): void => fill(parameter, value);

/** Evenly distributed in [low, high). */
export const uniform = checked(
  "uniform",
  { parameter: "tensor", options: { low: "number?", high: "number?" } },
  (parameter: Tensor, { low = 0, high = 1 }: { low?: number; high?: number } = {}): void =>
    setValue(parameter, () => add(mul(rand(parameter.shape), high - low), low)),
);

/** N(mean, std²). */
export const normal = checked(
  "normal",
  { parameter: "tensor", options: { mean: "number?", std: "number?" } },
  (parameter: Tensor, { mean = 0, std = 1 }: { mean?: number; std?: number } = {}): void =>
    setValue(parameter, () => randn(parameter.shape, { mean, std })),
);

/** Bounds of {@link truncatedNormal}: values, not multiples of std. */
export interface TruncatedNormalOptions {
  mean?: number;
  std?: number;
  low?: number;
  high?: number;
}

/** N(mean, std²) without what lies outside of [low, high]: the inverse of its distribution function, at evenly distributed places. */
export const truncatedNormal = checked(
  "truncatedNormal",
  { parameter: "tensor", options: { mean: "number?", std: "number?", low: "number?", high: "number?" } },
  (parameter: Tensor, { mean = 0, std = 1, low = -2, high = 2 }: TruncatedNormalOptions = {}): void => {
    check(low < high, () => `truncatedNormal: low ${low} is not below high ${high}.`);
    check(std > 0, () => `truncatedNormal: std ${std} is not a positive number.`);
    setValue(parameter, () => {
      const scale = std * Math.SQRT2;
      const [from, to] = [low, high].map((bound) => erf(fromArray([(bound - mean) / scale], [1])));
      const places = add(mul(rand([parameter.size]), sub(to!, from!)), from!);
      return reshape(clamp(add(mul(erfinv(places), scale), mean), { min: low, max: high }), parameter.shape);
    });
  },
);

/** Which nonlinearity follows a layer. */
export type Nonlinearity = "linear" | "sigmoid" | "tanh" | "relu" | "leaky_relu" | "selu";
const nonlinearities = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"] as const;

/** By what a layer's weights are scaled so that its nonlinearity keeps the variance: √2 for ReLU. `slope` is leaky ReLU's below 0. */
export const calculateGain = checked(
  "calculateGain",
  { nonlinearity: nonlinearities, slope: "number?" },
  (nonlinearity: Nonlinearity, slope = 0.01): number =>
    ({
      linear: 1,
      sigmoid: 1,
      tanh: 5 / 3,
      relu: Math.SQRT2,
      leaky_relu: Math.sqrt(2 / (1 + slope ** 2)),
      selu: 3 / 4,
    })[nonlinearity],
);

/** Rows of a weight are outputs, columns inputs; further dimensions are the receptive field of a convolution. */
function fans(owner: string, { shape }: Tensor): { fanIn: number; fanOut: number } {
  check(shape.length >= 2, () => `${owner}: ${showShape(shape)} is not a weight [out, in, …].`);
  const field = shape.slice(2).reduce((a, b) => a * b, 1);
  return { fanIn: shape[1]! * field, fanOut: shape[0]! * field };
}

const gainTakes = { parameter: "tensor", options: { gain: "number?" } } as const;

/** Evenly distributed within ±gain · √(6 / (fanIn + fanOut)). @see https://proceedings.mlr.press/v9/glorot10a.html */
export const xavierUniform = checked(
  "xavierUniform",
  gainTakes,
  (parameter: Tensor, { gain = 1 }: { gain?: number } = {}): void => {
    const { fanIn, fanOut } = fans("xavierUniform", parameter);
    const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
    uniform(parameter, { low: -bound, high: bound });
  },
);

/** N(0, gain² · 2 / (fanIn + fanOut)). */
export const xavierNormal = checked(
  "xavierNormal",
  gainTakes,
  (parameter: Tensor, { gain = 1 }: { gain?: number } = {}): void => {
    const { fanIn, fanOut } = fans("xavierNormal", parameter);
    normal(parameter, { std: gain * Math.sqrt(2 / (fanIn + fanOut)) });
  },
);

/** Options of {@link kaimingUniform} and {@link kaimingNormal}. */
export interface KaimingOptions {
  /** The slope of leaky ReLU below 0. Default 0. */
  a?: number;
  /** Whether the variance is kept in forward (the default) or in backward. */
  mode?: "fanIn" | "fanOut";
  /** Default `leaky_relu`. */
  nonlinearity?: Nonlinearity;
}
const kaimingTakes = {
  parameter: "tensor",
  options: { a: "number?", mode: ["fanIn", "fanOut"], nonlinearity: nonlinearities },
} as const;

const kaimingStd = (
  owner: string,
  parameter: Tensor,
  { a = 0, mode = "fanIn", nonlinearity = "leaky_relu" }: KaimingOptions,
): number => calculateGain(nonlinearity, a) / Math.sqrt(fans(owner, parameter)[mode]);

/** Evenly distributed within ±√3 · gain / √fan. @see https://arxiv.org/abs/1502.01852 */
export const kaimingUniform = checked(
  "kaimingUniform",
  kaimingTakes,
  (parameter: Tensor, options: KaimingOptions = {}): void => {
    const bound = Math.sqrt(3) * kaimingStd("kaimingUniform", parameter, options);
    uniform(parameter, { low: -bound, high: bound });
  },
);

/** N(0, gain² / fan). */
export const kaimingNormal = checked(
  "kaimingNormal",
  kaimingTakes,
  (parameter: Tensor, options: KaimingOptions = {}): void =>
    normal(parameter, { std: kaimingStd("kaimingNormal", parameter, options) }),
);

/** Horner's scheme. */
const polynomial = (x: Tensor, [first, ...rest]: readonly number[]): Tensor =>
  rest.reduce<Tensor>((sum, c, i) => add(i === 0 ? mul(x, first!) : mul(sum, x), c), x);

/**
 * The inverse of erf in float32: one of two polynomials in w = −ln(1 − y²).
 * @see https://people.maths.ox.ac.uk/gilesm/files/gems_erfinv.pdf
 */
function erfinv(y: Tensor): Tensor {
  const inner = clamp(y, { min: -1 + 2 ** -23, max: 1 - 2 ** -23 }); // ±1 would be ±∞
  const w = neg(log(mul(sub(1, inner), add(inner, 1))));
  const central = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941]; // prettier-ignore
  const tail = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682]; // prettier-ignore
  return mul(inner, where(lt(w, 5), polynomial(sub(w, 2.5), central), polynomial(sub(sqrt(w), 3), tail)));
}
