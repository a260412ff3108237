import { checked, Context } from "@gpugrad/tensor";

const recording = new Context<boolean>();

/** Whether calls are recorded now. */
export const isRecording = (): boolean => recording.current ?? true;

/** Runs `work` without recording: for evaluation and updates. Nothing is saved, and results need no gradient. */
export const noGrad = checked("noGrad", { work: "function" }, <T>(work: () => T): T => recording.run(false, work));

/** Runs `work` with recording on, inside a {@link noGrad}. */
export const enableGrad = checked("enableGrad", { work: "function" }, <T>(work: () => T): T =>
  recording.run(true, work),
);
