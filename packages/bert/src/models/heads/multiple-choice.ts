import { check, crossEntropy, reshape, showShape, Tensor } from "@gpugrad/tensor";
import { arrayOf, toDevice, type ArrayInput, type ModelInputs } from "../inputs.ts";
import type { HeadOutput, States } from "../outputs.ts";

const names = ["input_ids", "attention_mask", "token_type_ids"] as const;

/**
 * The choices of all rows one below the other, as an encoder takes them, [B, choices, T] → [B · choices, T], and how many there are in
 * each row.
 *
 * @throws {@link GpugradError} when `input_ids` has another number of dimensions
 */
export function flattenChoices(inputs: ModelInputs): { flat: ModelInputs; choices: number } {
  const arrays = names.map((name) => [name, inputs[name]] as const).filter(([, input]) => input !== undefined);
  const flat: Partial<Record<(typeof names)[number], ArrayInput>> = {};
  let choices = 0;
  for (const [name, input] of arrays) {
    const array = input instanceof Tensor ? input : arrayOf(name, input!);
    const { shape } = array;
    check(shape.length === 3, () => `${name}: shape ${showShape(shape)}, but [B, choices, T] is expected.`);
    const rows = [shape[0]! * shape[1]!, shape[2]!];
    flat[name] = array instanceof Tensor ? reshape(array, rows) : { ...array, shape: rows };
    choices = shape[1]!;
  }
  return { flat: flat as ModelInputs, choices };
}

/**
 * Which choice is right: cross-entropy over the choices of each row.
 *
 * @param scores one per choice, [B · choices, 1]
 * @param labels the number of the right choice [B]
 * @returns logits [B, choices], and the loss when there are labels
 */
export function chooseOne<S extends States>(
  scores: Tensor,
  choices: number,
  labels: ArrayInput | undefined,
  states: S,
): HeadOutput & S {
  const logits = reshape(scores, [-1, choices]);
  if (labels === undefined) return { logits, ...states };
  const target = reshape(toDevice("labels", labels, "i32").tensor, [logits.shape[0]!]);
  return { logits, loss: crossEntropy(logits, target), ...states };
}
