import { checked } from "@gpugrad/tensor";

/** The open `noGrad` and `enableGrad`, in the order in which they began; the last one counts. */
const frames: { readonly enabled: boolean }[] = [];

/** Whether calls are recorded now. */
export const isRecording = (): boolean => frames.at(-1)?.enabled ?? true;

/** Runs `work` without recording: for evaluation and updates. Nothing is saved, and results need no gradient. */
export const noGrad = checked("noGrad", { work: "function" }, <T>(work: () => T): T =>
  within({ enabled: false }, work),
);

/** Runs `work` with recording on, inside a {@link noGrad}. */
export const enableGrad = checked("enableGrad", { work: "function" }, <T>(work: () => T): T =>
  within({ enabled: true }, work),
);

/** Asynchronous works may overlap: each takes away its own frame, and no other. */
function within<T>(frame: { readonly enabled: boolean }, work: () => T): T {
  const leave = (): void => void frames.splice(frames.lastIndexOf(frame), 1);
  frames.push(frame);
  let result: T;
  try {
    result = work();
  } catch (error) {
    leave();
    throw error;
  }
  if (result instanceof Promise) return result.finally(leave) as T;
  leave();
  return result;
}
