import {
  abs,
  add,
  check,
  clamp,
  didYouMean,
  erf,
  exp,
  gelu,
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
import type { Fusion, Linear } from "./layers/linear.ts";

/** softplus(x) = ln(1 + eˣ), as max(x, 0) + ln(1 + e^−|x|), which does not overflow. */
const softplus = (x: Tensor): Tensor => add(relu(x), log(add(exp(neg(abs(x))), 1)));

const geluExact = (x: Tensor): Tensor => gelu(x);
const geluTanh = (x: Tensor): Tensor => gelu(x, { approximate: "tanh" });
const relu6 = (x: Tensor): Tensor => clamp(x, { min: 0, max: 6 });

/**
 * The activations by the names that Transformers' configurations give them in `hidden_act`.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/activations.py (ACT2CLS)
 */
const activations = {
  gelu: geluExact,
  gelu_python: geluExact,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  gelu_accurate: geluTanh,
  gelu_10: (x: Tensor) => clamp(gelu(x), { min: -10, max: 10 }),
  quick_gelu: (x: Tensor) => mul(x, sigmoid(mul(x, 1.702))),
  relu: (x: Tensor) => relu(x),
  relu2: (x: Tensor) => square(relu(x)),
  relu6,
  leaky_relu: (x: Tensor) => sub(relu(x), mul(relu(neg(x)), 0.01)),
  hardsigmoid: (x: Tensor) => mul(relu6(add(x, 3)), 1 / 6),
  hardswish: (x: Tensor) => mul(x, mul(relu6(add(x, 3)), 1 / 6)),
  hardtanh: (x: Tensor) => clamp(x, { min: -1, max: 1 }),
  laplace: (x: Tensor) => mul(add(erf(mul(sub(x, 0.707107), 1 / (0.282095 * Math.SQRT2))), 1), 0.5),
  linear: (x: Tensor) => x,
  mish: (x: Tensor) => mul(x, tanh(softplus(x))),
  sigmoid: (x: Tensor) => sigmoid(x),
  silu: (x: Tensor) => silu(x),
  swish: (x: Tensor) => silu(x),
  tanh: (x: Tensor) => tanh(x),
} satisfies Record<string, (x: Tensor) => Tensor>;

/** An activation without parameters, by the name that Transformers gives it. */
export type Activation = keyof typeof activations;
/** The names that {@link activation} knows. */
export const activationNames = Object.keys(activations) as Activation[];

/** The activation called `name`. @throws {@link GpugradError} with the list when there is none */
export function activation(name: string): (x: Tensor) => Tensor {
  check(
    Object.hasOwn(activations, name),
    () =>
      `activation: "${name}" is not an activation without parameters. There are ${activationNames.join(", ")}.${didYouMean(name, activationNames)}`,
  );
  return activations[name as Activation];
}

/** activation(dense(x)): in one kernel where it is a GELU and `dense` computes it along, else one after the other. */
export function denseActivation(dense: Linear<boolean>, x: Tensor, name: string): Tensor {
  const act = activation(name);
  const approximate = act === geluExact ? "none" : act === geluTanh ? "tanh" : undefined;
  if (!approximate) return act(dense.forward(x));
  const fusion: Fusion = { gelu: approximate };
  const y = dense.forward(x, fusion);
  return fusion.isDone ? y : act(y);
}
