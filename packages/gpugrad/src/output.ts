import { visible } from "@gpugrad/tensor";
import { once } from "node:events";

const gone = new AbortController();

/** Aborted once nothing more can be written to standard output: its reader has gone, as head(1) does, or its disk is full. */
export const outputGone: AbortSignal = gone.signal;

/** What a shell reports for a program whose output's reader has gone. */
export const READER_GONE = 141;

/** Whether the reader of standard output has gone, which is not an error. */
export const readerIsGone = (): boolean => (outputGone.reason as NodeJS.ErrnoException | undefined)?.code === "EPIPE";

process.stdout.on("error", (error) => gone.abort(error));
process.stderr.on("error", () => undefined); // there is nowhere else to report it

/**
 * Writes to standard output, and waits for its reader where that is slow. Control characters of labels and texts can't act on a
 * terminal: `visible` shows them.
 */
export async function writeOutput(text: string, signal: AbortSignal = outputGone): Promise<void> {
  if (outputGone.aborted) return;
  const { stdout } = process;
  if (!stdout.write(stdout.isTTY ? visible(text) : text)) {
    await once(stdout, "drain", { signal: AbortSignal.any([signal, outputGone]) }).catch((error: unknown) => {
      if (!outputGone.aborted) throw error;
    });
  }
}

/** Writes to standard error, as {@link writeOutput} does. */
export function writeError(text: string): void {
  process.stderr.write(process.stderr.isTTY ? visible(text) : text);
}
