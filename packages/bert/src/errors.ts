import { GpugradError } from "@gpugrad/tensor";

export { check, GpugradError } from "@gpugrad/tensor";

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
