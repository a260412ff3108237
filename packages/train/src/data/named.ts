import { GpugradError } from "@gpugrad/tensor";
import { DataError } from "../errors.ts";
import { shownText } from "./shown.ts";

/** What the system's error codes mean for who reads data. */
const REASONS = new Map([
  ["ENOENT", "no such file"],
  ["EISDIR", "a folder, not a file"],
  ["ENOTDIR", "a part of the path is a file, not a folder"],
  ["EACCES", "no permission to read it"],
  ["EPERM", "no permission to read it"],
  ["EMFILE", "too many open files (ulimit -n)"],
  ["EIO", "the disk can't read it"],
]);

/** An error of a library or of the system as one of ours that says what it is about; ours stay as they are. */
export function namedError(what: string, error: unknown): Error {
  if (error instanceof DataError || error instanceof GpugradError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = (typeof code === "string" && REASONS.get(code)) || shownText(message ?? String(error));
  return new DataError(`${what}: ${reason.replace(/\.?$/, ".")}`);
}

/** Does something with a file; errors begin with its name. */
export async function named<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw namedError(what, error);
  }
}
