import { GpugradError } from "@gpugrad/tensor";

/** Why the Hub did not give a file, or take it. */
export type HubErrorCode =
  | "repo-not-found"
  | "gated"
  | "unauthorized"
  | "forbidden"
  | "conflict"
  | "revision-not-found"
  | "entry-not-found"
  | "offline"
  | "network"
  | "rate-limited"
  | "bad-answer"
  | "disk"
  | "damaged";

/** An error of a download from the Hub, or an upload to it; `code` is for programs, the message names repository, file and a way out. */
export class HubError extends GpugradError {
  override name = "HubError";
  readonly code: HubErrorCode;

  constructor(code: HubErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A handler for the error of a name that is not in the file system and can't be fetched either: it may be the path that was mistyped. */
export const notHere =
  (name: string, what = "folder") =>
  (error: unknown): never => {
    if (!(error instanceof HubError && ["repo-not-found", "network", "offline"].includes(error.code))) throw error;
    throw new HubError(error.code, `${name}: no such ${what} here, and from the Hub: ${error.message}`);
  };
