import { launcher } from "@gpugrad/train";
import { writeError } from "../output.ts";

/** Long enough for rank 0 to say the same, and for its launcher to end the others. */
const OTHERS_WAIT_MS = 5000;

/** Whether this process speaks where all ranks have the same to say; one that was started alone does. */
export const speaks = (): boolean => (launcher(process.env)?.rank ?? 0) === 0;

/** Says what is wrong with a command line, which all ranks find: rank 0 at once, another one if it is still there some seconds later. */
export function sayOnce(text: string): void {
  if (speaks()) writeError(text);
  else setTimeout(() => writeError(text), OTHERS_WAIT_MS);
}
