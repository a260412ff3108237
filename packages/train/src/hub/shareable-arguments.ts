import { shareable } from "@gpugrad/bert";
import { argumentsToJson, type TrainingArguments } from "../arguments/training-arguments.ts";

/** The arguments by their names in snake_case, as others may see them: no token, of local paths the last part. */
export function shareableArguments(args: TrainingArguments): Record<string, unknown> {
  return shareable(argumentsToJson(args)) as Record<string, unknown>;
}

/** The name of a dataset as others may see it: an id of the Hub, or the last part of a path. */
export const shareableDataset = (name: string): string => (shareable({ dataset: name }) as { dataset: string }).dataset;
