/** Whether calls are recorded now. */
export const recording = { enabled: true };

/** Runs `work` without recording: for evaluation and updates. Nothing is saved, and results need no gradient. */
export const noGrad = <T>(work: () => T): T => withRecording(false, work);

/** Runs `work` with recording on, inside a {@link noGrad}. */
export const enableGrad = <T>(work: () => T): T => withRecording(true, work);

function withRecording<T>(enabled: boolean, work: () => T): T {
  const before = recording.enabled;
  const restore = (): void => void (recording.enabled = before);
  recording.enabled = enabled;
  let result: T;
  try {
    result = work();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}
