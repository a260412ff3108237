// What became of one run of a reader.
import { setImmediate as nextTurn } from "node:timers/promises";
import { GpugradError } from "@gpugrad/tensor";
import { DataError } from "@gpugrad/train";
import type { Target } from "./target.ts";

/** Why a run failed: an error that is not the project's own, too much processor time, or too much memory. */
export interface Failure {
  kind: "error" | "rejection" | "hang" | "memory";
  message: string;
  /** The same for two failures that have one cause, as far as can be seen. */
  cause: string;
}

/** Processor time of a run, in seconds, that counts as a hang. */
export const HANG_SECONDS = 2;
/** Growth of the process during one run, in bytes, that counts as unbounded: inputs have 64 KiB. */
const MAX_GROWTH = 512 << 20;

/** Promises of a reader that nobody awaits; whoever runs targets hands the process's events in. */
export const rejections: unknown[] = [];
process.on("unhandledRejection", (reason) => rejections.push(reason));

/** Runs a reader on one input: undefined if it returned, or refused the input with an error of the project's own. */
export async function outcomeOf(target: Target, input: Uint8Array): Promise<Failure | undefined> {
  rejections.length = 0;
  const before = process.memoryUsage.rss();
  const start = process.cpuUsage();
  let failure: Failure | undefined;
  try {
    await target.read(input);
  } catch (error) {
    if (!isOwn(error)) failure = { kind: "error", ...describe(error) };
  }
  const { user, system } = process.cpuUsage(start);
  await nextTurn();
  if (failure) return failure;
  const [rejection] = rejections;
  if (rejection !== undefined) return { kind: "rejection", ...describe(rejection) };
  if ((user + system) / 1e6 > HANG_SECONDS) return { kind: "hang", message: `more than ${HANG_SECONDS} s`, cause: "" };
  if (process.memoryUsage.rss() - before > MAX_GROWTH)
    return { kind: "memory", message: "more than 512 MiB", cause: "" };
  return undefined;
}

const isOwn = (error: unknown): boolean => error instanceof GpugradError || error instanceof DataError;

/** Name and message of an error, and the place in this repository where it comes from, without which two would be of one cause. */
function describe(error: unknown): Pick<Failure, "message" | "cause"> {
  if (!(error instanceof Error)) return { message: `thrown: ${String(error).slice(0, 100)}`, cause: typeof error };
  const message = `${error.name}: ${error.message.split("\n")[0]!.slice(0, 100)}`;
  const place = /(?:packages|node_modules)\/[^\s)]*?:\d+(?=:\d+\)?$)/m.exec(error.stack ?? "")?.[0];
  return { message: place ? `${message} at ${place}` : message, cause: place ?? message.replace(/\d+/g, "#") };
}
