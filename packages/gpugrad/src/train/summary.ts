import type { Evaluated, Found, Labelled, Task } from "@gpugrad/train";

/** An evaluation for people, as its task puts it. */
export const summaryOf = <F extends Found>(
  { task }: { task: Task<F> },
  evaluated: Evaluated<F>,
  unit: string,
): string => task.summary?.(evaluated as Evaluated<Labelled<F>>, unit) ?? "";
