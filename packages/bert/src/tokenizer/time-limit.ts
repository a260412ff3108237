import { createContext, Script } from "node:vm";
import { GpugradError } from "@gpugrad/tensor";

const context = createContext({ work: undefined as unknown });
const script = new Script("work()");

/**
 * Runs `work`, and stops it after some milliseconds, even within a regular expression.
 *
 * @throws {@link GpugradError} when the time is over; and what `work` throws.
 * @see https://nodejs.org/api/vm.html#scriptrunincontextcontextifiedobject-options `timeout`
 */
export function withinTime<T>(milliseconds: number, work: () => T): T {
  context["work"] = work;
  try {
    return script.runInContext(context, { timeout: milliseconds }) as T;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new GpugradError(
      `stopped after ${milliseconds} ms. Does a regular expression match in very many ways, as (a+)+ does?`,
    );
  } finally {
    context["work"] = undefined;
  }
}
