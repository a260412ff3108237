import { constants } from "node:os";

/** Ctrl-C comes to a program twice when its runner passes on what the terminal sent to both: within this time it is one. */
const SAME_SIGNAL_MS = 500;

/**
 * Calls `stop` when SIGINT (Ctrl-C) or SIGTERM comes; a second one ends the process at once.
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
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, listener);
  return () => {
    if (at === undefined) for (const signal of signals) process.off(signal, listener);
  };
}

/** What a shell reports for a program that ended by a signal: 130 for SIGINT, 143 for SIGTERM. */
export const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];
