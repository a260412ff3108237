import { constants } from "node:os";

/** Ctrl-C reaches a program twice when its runner passes on what the terminal sent to both: within this time it is one. */
const SAME_SIGNAL_MS = 500;

/** Ctrl-C, an orderly end, a terminal that was closed, and what launchers of several ranks pass on. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", ...(process.platform === "win32" ? [] : ["SIGUSR2" as const])];

/**
 * Calls `stop` when one of these signals comes; a second one ends the process at once.
 * @returns what takes the listener away, unless a signal came: then the process is on its way out, and the signal's echo must not kill it
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  let at: number | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (at !== undefined && now - at < SAME_SIGNAL_MS) return;
    if (at !== undefined) process.kill(process.pid, "SIGKILL"); // process.exit() may crash while the device works
    at = now;
    stop(signal);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return () => {
    if (at === undefined) for (const signal of SIGNALS) process.off(signal, listener);
  };
}

/** A command that was asked to stop. */
export class StoppedError extends Error {
  override name = "StoppedError";
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`${signal}: stopped.`);
    this.signal = signal;
  }
}

/** What `work` gives, unless `stop` is aborted before: work that can't be interrupted is not waited for. @throws the reason of `stop` */
export async function unlessStopped<T>(stop: AbortSignal, work: () => Promise<T>): Promise<T> {
  stop.throwIfAborted();
  let leave!: () => void;
  const stopped = new Promise<never>((_, reject) => {
    leave = () => reject(stop.reason as Error);
    stop.addEventListener("abort", leave);
  });
  try {
    return await Promise.race([work(), stopped]);
  } finally {
    stop.removeEventListener("abort", leave);
  }
}

/** What a shell reports for a program that ended by a signal: 130 for SIGINT, 143 for SIGTERM. */
export const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];
