import { GpugradError } from "@gpugrad/tensor";

/** A loss or gradient that is NaN or infinite, which ended a run: `onNonFinite` is stop. */
export class NonFiniteError extends GpugradError {
  override name = "NonFiniteError";
  readonly step: number;
  /** Rows of the training set in the update. */
  readonly rows: readonly number[];

  constructor(step: number, rows: readonly number[], message: string) {
    super(message);
    this.step = step;
    this.rows = rows;
  }
}
