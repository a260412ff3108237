import { shareable } from "@gpugrad/bert";
import { argumentsToJson, type TrainingArguments } from "../trainer/training-arguments.ts";

/** The arguments by their names in snake_case, as others may see them: no token, of local paths the last part. */
export function shareableArguments(args: TrainingArguments): Record<string, unknown> {
  return shareable(argumentsToJson(args)) as Record<string, unknown>;
}
