import { argumentCheck, fromArray, GpugradError, scope, type Tensor } from "@gpugrad/tensor";
import { backward } from "./backward.ts";
import { noGrad } from "./no-grad.ts";

/** Step and tolerances of {@link gradcheck}. Differences of f32 values are coarse: a smaller step is not more exact. */
export interface GradcheckOptions {
  /** Step of the central difference. Default 1e-2. */
  eps?: number;
  atol?: number;
  rtol?: number;
}

const checkGradcheck = argumentCheck("gradcheck", {
  ...{ f: "function", inputs: "tensors" },
  options: { eps: "number?", atol: "number?", rtol: "number?" },
});

/**
 * Compares the gradients of `f` with central differences, element by element: (f(x + ε) − f(x − ε)) / 2ε. For checking an op or a
 * model of one's own on small inputs; it computes `f` twice for every element.
 * @throws at the first element that differs by more than atol + rtol · |difference|
 */
export async function gradcheck(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): Promise<void> {
  checkGradcheck([f, inputs, options]);
  const { eps = 1e-2, atol = 1e-2, rtol = 2e-2 } = options;
  const values = await Promise.all(inputs.map(async (x) => Float32Array.from(await x.data())));
  const make = (): Tensor[] => inputs.map((x, i) => fromArray(values[i]!, x.shape));

  let weights: Float32Array | undefined; // dy: fixed and uneven, so that errors don't cancel in the sum
  const analytic = await scope(async () => {
    const leaves = make();
    for (const leaf of leaves) leaf.requiresGrad = true;
    const y = f(...leaves);
    weights = Float32Array.from({ length: y.size }, (_, i) => 1 + 0.5 * Math.sin(i + 1));
    backward(y, { gradient: fromArray(weights, y.shape) });
    return Promise.all(leaves.map(async (leaf) => (leaf.grad ? leaf.grad.data() : new Float32Array(leaf.size))));
  });
  const evaluate = (): Promise<number> =>
    scope(async () => {
      const y = await noGrad(() => f(...make())).data();
      let sum = 0; // in float64, unlike the values themselves
      for (let i = 0; i < y.length; i++) sum += y[i]! * weights![i]!;
      return sum;
    });

  for (const [which, x] of values.entries()) {
    for (let i = 0; i < x.length; i++) {
      const value = x[i]!;
      x[i] = value + eps;
      const above = x[i]!;
      const high = await evaluate();
      x[i] = value - eps;
      const below = x[i]!;
      const low = await evaluate();
      x[i] = value;
      const numeric = (high - low) / (above - below);
      const got = analytic[which]![i]!;
      if (!(Math.abs(got - numeric) <= atol + rtol * Math.abs(numeric))) {
        throw new GpugradError(
          `gradcheck: input ${which}, element ${i}: backward gives ${got}, the central difference ${numeric} (atol ${atol}, rtol ${rtol}).`,
        );
      }
    }
  }
}
