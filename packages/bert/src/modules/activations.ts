import {
  abs,
  add,
  clamp,
  erf,
  exp,
  gelu,
  GpugradError,
  log,
  mul,
  neg,
  relu,
  sigmoid,
  silu,
  square,
  sub,
  tanh,
  type Tensor,
} from "@gpugrad/tensor";

/** softplus(x) = ln(1 + eˣ), as max(x, 0) + ln(1 + e^−|x|), which does not overflow. */
const softplus = (x: Tensor): Tensor => add(relu(x), log(add(exp(neg(abs(x))), 1)));

const geluExact = (x: Tensor): Tensor => gelu(x);
const geluTanh = (x: Tensor): Tensor => gelu(x, { approximate: "tanh" });
const relu6 = (x: Tensor): Tensor => clamp(x, { min: 0, max: 6 });

/**
 * The activations that a config can name in `hidden_act`.
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/activations.py (ACT2CLS)
 */
export const activations: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  gelu: geluExact,
  gelu_python: geluExact,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  gelu_accurate: geluTanh,
  gelu_10: (x) => clamp(gelu(x), { min: -10, max: 10 }),
  quick_gelu: (x) => mul(x, sigmoid(mul(x, 1.702))),
  relu,
  relu2: (x) => square(relu(x)),
  relu6,
  leaky_relu: (x) => sub(relu(x), mul(relu(neg(x)), 0.01)),
  hardsigmoid: (x) => mul(relu6(add(x, 3)), 1 / 6),
  hardswish: (x) => mul(x, mul(relu6(add(x, 3)), 1 / 6)),
  hardtanh: (x) => clamp(x, { min: -1, max: 1 }),
  laplace: (x) => mul(add(erf(mul(sub(x, 0.707107), 1 / (0.282095 * Math.SQRT2))), 1), 0.5),
  linear: (x) => x,
  mish: (x) => mul(x, tanh(softplus(x))),
  sigmoid,
  silu,
  swish: silu,
  tanh,
};

/** The activation called `name`. @throws with the list when there is none */
export function activation(name: string): (x: Tensor) => Tensor {
  const found = activations[name];
  if (!found) {
    throw new GpugradError(
      `hidden_act "${name}" is not an activation without parameters: it may be ${Object.keys(activations).join(", ")}.`,
    );
  }
  return found;
}

/** Which GELU `name` is, if it is one that a linear layer can fuse. */
export function fusedGelu(name: string): "none" | "tanh" | undefined {
  const found = activations[name];
  return found === geluExact ? "none" : found === geluTanh ? "tanh" : undefined;
}
