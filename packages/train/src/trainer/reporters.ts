import type { TrainingArguments } from "../arguments/training-arguments.ts";
import type { HubCallback } from "../hub/hub-callback.ts";
import type { TrainerCallback } from "./callbacks.ts";
import type { TrainerServices } from "./services.ts";

/** The callbacks that write a run down and upload it: those of its arguments. One rank of several has them. */
export function reportersOf(
  args: TrainingArguments,
  services: TrainerServices,
  warn: (warning: string) => void,
): { reporters: TrainerCallback[]; hub: HubCallback | undefined } {
  const { outputDir, reportTo, runName, hubModelId, pushToHub } = args;
  const reporters = reportTo.flatMap(
    (name) => services.reporters[name]?.({ outputDir: outputDir ?? ".", runName, warn }) ?? [],
  );
  if (outputDir === null) return { reporters, hub: undefined };
  const hub = pushToHub ? services.hub({ args, outputDir, warn }) : undefined;
  return { reporters: [...reporters, services.modelCard({ outputDir, hubModelId, warn }), ...(hub ? [hub] : [])], hub };
}
