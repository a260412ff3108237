/** An error about a file, a download, a configuration or a text: says what failed, the values, and a way out. */
export class FilesError extends Error {
  override name = "FilesError";
}

/** Throws a {@link FilesError} with `message` unless `condition` holds. */
export function check(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new FilesError(typeof message === "string" ? message : message());
}

/** Why the Hub did not give a file. */
export type HubErrorCode =
  | "repo-not-found"
  | "gated"
  | "unauthorized"
  | "revision-not-found"
  | "entry-not-found"
  | "offline"
  | "network"
  | "damaged";

/** An error of a download from the Hub; `code` is for programs, the message names repository, file and a way out. */
export class HubError extends FilesError {
  override name = "HubError";
  readonly code: HubErrorCode;

  constructor(code: HubErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
