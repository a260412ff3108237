import { argumentsToJson, type TrainingArguments } from "../arguments/training-arguments.ts";
import type { Dataset } from "../data/dataset.ts";
import type { TrainableModel } from "../tasks/task.ts";
import { version } from "#files";

/** Rows of a dataset that are compared: a sample, for it may be as large as it wants. */
const ROWS = 64;

const digestOf = async (bytes: Uint8Array): Promise<string> => {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(hash.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
};

/** What has to be the same on all ranks, by names that say what it is: arguments, data and weights. */
export async function identityOf(parts: {
  args: TrainingArguments;
  model: TrainableModel;
  datasets: Readonly<Record<string, Dataset | undefined>>;
}): Promise<Record<string, unknown>> {
  const { args, model, datasets } = parts;
  const identity: Record<string, unknown> = { version, config: model.config };
  for (const [name, value] of Object.entries(argumentsToJson(args))) identity[`the argument ${name}`] = value;
  for (const [name, dataset] of Object.entries(datasets)) {
    if (!dataset) continue;
    identity[`the rows of ${name}`] = dataset.length;
    const count = Math.min(ROWS, dataset.length);
    for (let i = 0; i < count; i++) {
      const number = Math.floor((i * (dataset.length - 1)) / Math.max(1, count - 1));
      const text = JSON.stringify(await dataset.row(number));
      identity[`row ${number} of ${name} (a hash)`] = await digestOf(new TextEncoder().encode(text));
    }
  }
  for (const [name, parameter] of model.namedParameters())
    identity[`the weights ${name} (a hash)`] = await digestOf(await parameter.bytes());
  return identity;
}
