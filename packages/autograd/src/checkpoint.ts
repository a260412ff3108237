import {
  atEachReplay,
  autocast,
  checked,
  computeType,
  defaultGenerator,
  hooks,
  GpugradError,
  keep,
  provenance,
  scope,
  showValue,
  type Generator,
  type GeneratorState,
  Tensor,
} from "@gpugrad/tensor";
import { backward } from "./backward.ts";
import { enableGrad, isRecording, noGrad } from "./no-grad.ts";
import { withLeaves } from "./tape.ts";

function resultOf(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Tensor {
  const result: unknown = f(...inputs);
  if (result instanceof Tensor) return result;
  throw new GpugradError(`checkpoint: the function returned ${showValue(result)}, not a tensor.`);
}

/**
 * Gradient checkpointing: computes `f(...inputs)` without saving anything inside it, and computes it a second time when backward
 * needs it. Costs one more forward; saves the memory of everything between `inputs` and the result. Random numbers come from
 * `generator`, whose state is put back for the second time, so that dropout drops the same elements; in replays of recorded work, too.
 * The second time has the autocast of the first.
 *
 * Gradients of parameters that `f` uses are added up as usual; other tensors with a tape have to come in through `inputs`.
 * What `f` uses must not change between the two times.
 * @see https://docs.pytorch.org/docs/stable/checkpoint.html
 */
export const checkpoint = checked(
  "checkpoint",
  { f: "function", inputs: "tensors", options: { generator: "generator?" } },
  (
    f: (...inputs: Tensor[]) => Tensor,
    inputs: readonly Tensor[],
    { generator = defaultGenerator }: { generator?: Generator } = {},
  ): Tensor => {
    if (!isRecording()) return f(...inputs);
    const type = computeType();
    let [before, after]: GeneratorState[] = [];
    atEachReplay(() => (before = generator.state));
    // Everything between goes back at once. An alias, since what f returns may be its own, or an input.
    const { result: output, leaves } = withLeaves(() => noGrad(() => scope(() => resultOf(f, inputs).alias())));
    const wanted = inputs.map((input) => input.requiresGrad);
    hooks.recorder!.record({
      op: "checkpoint",
      inputs: Object.fromEntries(inputs.map((input, i) => [String(i), input])),
      output,
      leaves,
      saved: { inputs: [...inputs] },
      backward: (saved: { inputs: Tensor[] }, dy) => {
        const again = saved.inputs.map((input, i) => Object.assign(input.alias(), { requiresGrad: wanted[i]! }));
        atEachReplay(() => {
          after = generator.state;
          generator.setState(before!);
        });
        const op = provenance.op;
        provenance.op = "user"; // the recomputation names what it makes by itself
        let result: Tensor;
        try {
          result = enableGrad(() => autocast(() => resultOf(f, again), { dtype: type }));
        } finally {
          provenance.op = op;
          atEachReplay(() => generator.setState(after!));
        }
        if (!result.requiresGrad) return {}; // nothing in f takes part in a gradient
        backward(result, { gradient: dy });
        return Object.fromEntries(
          again.map((leaf, i) => {
            const gradient = leaf.grad;
            leaf.grad = null; // it leaves with us: disposing the leaf would dispose it too
            return [String(i), gradient ? keep(gradient) : undefined];
          }),
        );
      },
    });
    return output;
  },
);
