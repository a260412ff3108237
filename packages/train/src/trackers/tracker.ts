import type { TrainerCallback } from "../trainer/callbacks.ts";
import type { LogEntry } from "../trainer/trainer-state.ts";

export interface TrackerOptions {
  /** The run's folder. */
  outputDir: string;
  /** Default: by the time, `Nov24_09-30-00`; of a run that continues, the one it had. */
  runName?: string | null | undefined;
  /** Called when a tracker failed. Default: stderr. */
  warn?: ((message: string) => void) | undefined;
}

type Handlers = Omit<TrainerCallback, "state" | "loadState">;

/** A callback that says so once when it fails, and is left out from then on: no run ends because its log can't be written. */
export function goesOnWithout(
  name: string,
  warn: (message: string) => void = console.warn,
  handlers: Handlers,
): TrainerCallback {
  let failed = false;
  const entries = Object.entries(handlers) as [keyof Handlers, Required<Handlers>[keyof Handlers]][];
  return Object.fromEntries(
    entries.map(([event, handler]) => {
      const guarded: typeof handler = async (...args) => {
        if (failed) return;
        try {
          await handler(...args);
        } catch (error) {
          failed = true;
          const reason = error instanceof Error ? error.message : String(error);
          warn(`${name}: ${reason} Training continues without it.`);
        }
      };
      return [event, guarded];
    }),
  );
}

/** An entry by Transformers' tags: `eval_loss` is `eval/loss`, `test_…` likewise, all else `train/…`. */
export function taggedLogs({ step: _, ...entry }: LogEntry): LogEntry {
  const tagged = Object.entries(entry).map(([key, value]) => {
    const [, kind, rest] = /^(eval|test)_(.*)$/s.exec(key) ?? [key, "train", key];
    return [`${kind}/${rest}`, value] as const;
  });
  return Object.fromEntries(tagged);
}
