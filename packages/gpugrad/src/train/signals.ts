import { constants } from "node:os";
import type { Trainer } from "@gpugrad/train";

/** Ctrl-C comes to a program twice when its runner passes on what the terminal sent to both: within this time it is one. */
const SAME_SIGNAL_MS = 500;

/**
 * Runs `work`; SIGINT (Ctrl-C) or SIGTERM asks the trainer to stop after the update under way. A second one ends the process at once.
 * @returns what `work` gave, and the signal that came
 */
export async function stoppable<T>(
  trainer: Pick<Trainer, "stop">,
  note: (line: string) => void,
  work: () => Promise<T>,
): Promise<{ result: T; signal: NodeJS.Signals | undefined }> {
  let first: { signal: NodeJS.Signals; at: number } | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (first && now - first.at < SAME_SIGNAL_MS) return;
    if (first) process.kill(process.pid, "SIGKILL"); // process.exit() may crash while the device works
    first = { signal, at: now };
    note(`${signal}: stopping after this update. A second one ends at once and saves nothing.`);
    trainer.stop();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const result = await work();
    return { result, signal: first?.signal };
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** What a shell reports for a program that ended by a signal: 130 for SIGINT, 143 for SIGTERM. */
export const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];
