import { AutoModelForMultipleChoice, type Folder, type Heads } from "@gpugrad/bert";
import type { Arrays } from "@gpugrad/train";
import { loading, refuseMissing, type LoadOptions } from "./missing-weights.ts";
import { sideBySide, type Task } from "./text-model.ts";

/** A model that chooses, with all its weights. @throws where some are missing, or its head is another one */
async function openMultipleChoice(folder: Folder, options: LoadOptions): Promise<Heads["multipleChoice"]> {
  const model = await AutoModelForMultipleChoice.fromPretrained(folder, loading(options));
  return refuseMissing(model, options, { head: "ForMultipleChoice" });
}

/** A logit for each choice of a row: the text is computed with each of them, as a pair. */
export const multipleChoice: Task<Heads["multipleChoice"]> = {
  open: openMultipleChoice,
  partsOf: ({ text, choices = [] }) => choices.map((text_pair) => ({ text, text_pair })),
  compute: (model, inputs) => model.forward(asOnlyChoices(inputs)).logits,
  join: sideBySide,
};

/** Each row as the only choice of a text, [B, T] → [B, 1, T]. */
const asOnlyChoices = (inputs: Arrays): Arrays =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, array]) => [name, { ...array, shape: [array.shape[0]!, 1, array.shape[1]!] }]),
  ) as unknown as Arrays;
