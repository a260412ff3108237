import { detectAnomaly } from "@gpugrad/autograd";
import { defaultGenerator, GpugradError, scope } from "@gpugrad/tensor";
import type { Dataset } from "../data/dataset.ts";
import type { TrainableModel } from "../tasks/task.ts";
import type { LossFunction } from "./loss.ts";
import { inMode } from "./mode.ts";
import type { Broken } from "./step-results.ts";

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

/** Does a broken update's forward and backward again, to say which op is the first that isn't finite. */
export async function explainNonFinite(
  { step, batches, loss, gradNorm, generator }: Broken,
  parts: { model: TrainableModel; loss: LossFunction; dataset: Dataset },
): Promise<NonFiniteError> {
  const { model, loss: lossFunction, dataset } = parts;
  const rows = batches.flatMap((batch) => batch.rows);
  defaultGenerator.setState(generator);
  let found: string | undefined;
  for (const batch of batches) {
    const { firstBad } = await detectAnomaly(
      () => inMode(model, true, () => scope(() => lossFunction.forward(model, batch.arrays).loss!.backward())),
      { parameters: model.namedParameters() },
    );
    found ??= firstBad?.message;
  }
  return new NonFiniteError(
    step,
    rows,
    `Trainer: update ${step} has loss ${loss} and gradient norm ${gradNorm}; it was left out, and training stopped. ` +
      `${found ?? "Computed again, all is finite"}. Its rows: ${rows.map((row) => dataset.where(row)).join("; ")}. Look at them, ` +
      'lower learningRate, or continue without such updates: onNonFinite: "skip".',
  );
}
