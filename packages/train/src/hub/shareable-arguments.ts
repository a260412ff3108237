import { shareable } from "@gpugrad/bert";
import { snakeCase, type TrainingArguments } from "../trainer/training-arguments.ts";

/** The arguments by their names in snake_case, as others may see them: no token, of local paths the last part. */
export function shareableArguments(args: TrainingArguments): Record<string, unknown> {
  const named = Object.entries(args).map(([name, value]) => [snakeCase(name), value] as const);
  return shareable(Object.fromEntries(named)) as Record<string, unknown>;
}
