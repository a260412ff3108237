import type { Trainer } from "@gpugrad/train";
import { onStopSignal } from "../stop-signal.ts";

/**
 * Runs `work`; SIGINT (Ctrl-C) or SIGTERM asks the trainer to stop after the update under way. A second one ends the process at once.
 * @returns what `work` gave, and the signal that came
 */
export async function stoppable<T>(
  trainer: Pick<Trainer, "stop">,
  note: (line: string) => void,
  work: () => Promise<T>,
): Promise<{ result: T; signal: NodeJS.Signals | undefined }> {
  let came: NodeJS.Signals | undefined;
  const forget = onStopSignal((signal) => {
    came = signal;
    note(`${signal}: stopping after this update. A second one ends at once and saves nothing.`);
    trainer.stop();
  });
  try {
    return { result: await work(), signal: came };
  } finally {
    forget();
  }
}
