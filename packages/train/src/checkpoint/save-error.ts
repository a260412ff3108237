import { GpugradError } from "@gpugrad/tensor";

/** A model can't be saved where it should be. */
export class SaveError extends GpugradError {
  override name = "SaveError";
  /** The folder that has it instead; undefined if no other place took it. */
  readonly savedIn: string | undefined;

  constructor(message: string, savedIn: string | undefined) {
    super(message);
    this.savedIn = savedIn;
  }
}
