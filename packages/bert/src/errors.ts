/** An error about a file, a download, a configuration or a text: says what failed, the values, and a way out. */
export class FilesError extends Error {
  override name = "FilesError";
}

/** Throws a {@link FilesError} with `message` unless `condition` holds. */
export function check(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new FilesError(typeof message === "string" ? message : message());
}
