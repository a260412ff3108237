import { checkInputs, type BertConfig, type ModelInputs } from "@gpugrad/bert";
import { fromArray, keep, record, type DType, type Recording, type Tensor } from "@gpugrad/tensor";
import type { Batch } from "./data/data-loader.ts";

/** Inputs of a step, on the host or on the device. */
export type StepInputs = ModelInputs & { labels?: ModelInputs["input_ids"] };

/** Shapes whose step is recorded. Where batches have more of them, the others are called as they come. */
const MAX_SHAPES = 16;

/** A step of one shape: its inputs are written to, then its commands are sent again. */
interface Recorded {
  inputs: Record<string, Tensor>;
  recording: Recording;
  result: Tensor;
}

/**
 * Runs the same step for batch after batch. A shape that comes a second time is recorded (docs/decisions/recorded-steps.md): from then on a
 * batch of it costs the host a few microseconds per dispatch.
 */
export class RecordedSteps {
  readonly #config: BertConfig;
  readonly #most: number;
  readonly #step: (inputs: StepInputs) => Tensor;
  readonly #recorded = new Map<string, Recorded>();
  readonly #seen = new Set<string>();

  /** @param step records one update, and gives what is to be read of it. It may do nothing that `record()` refuses. */
  constructor(config: BertConfig, step: (inputs: StepInputs) => Tensor, { enabled = true } = {}) {
    this.#config = config;
    this.#most = enabled ? MAX_SHAPES : 0;
    this.#step = step;
  }

  /** Does the step, and reads its result. @throws when ids or labels are beyond what the config allows */
  run(batch: Batch): Promise<ArrayLike<number>> {
    const given = hostInputs(batch);
    const key = given.map(({ name, shape }) => `${name} ${shape.join("×")}`).join();
    const recorded = this.#recorded.get(key);
    const recordsNow = !recorded && this.#seen.has(key) && this.#recorded.size < this.#most;
    if (!recorded && !recordsNow) {
      this.#seen.add(key);
      const result = this.#step(onHost(given));
      const values = result.data();
      result.dispose(); // the read is recorded; the memory may go
      return values;
    }
    // Inputs on the host are looked at by the model itself; those on the device can't be.
    const { input_ids: ids, token_type_ids: types, labels } = batch;
    checkInputs(this.#config, { ids, types, classes: labels instanceof Float32Array ? undefined : labels });
    if (recorded) {
      for (const { name, values } of given) recorded.inputs[name]!.write(values);
      recorded.recording.replay();
      return recorded.result.data();
    }
    return this.#record(key, given).data();
  }

  #record(key: string, given: readonly HostInput[]): Tensor {
    const inputs: Record<string, Tensor> = {};
    for (const { name, values, shape, dtype } of given) inputs[name] = keep(fromArray(values, shape, dtype));
    try {
      const { recording, result } = record(() => this.#step(inputs as unknown as StepInputs));
      this.#recorded.set(key, { inputs, recording, result: keep(result) });
      return result;
    } catch (error) {
      for (const tensor of Object.values(inputs)) tensor.dispose();
      throw error;
    }
  }

  /** Gives the memory of all recordings back. */
  dispose(): void {
    for (const { inputs, recording, result } of this.#recorded.values()) {
      for (const tensor of [...Object.values(inputs), result]) tensor.dispose();
      recording.dispose();
    }
    this.#recorded.clear();
  }
}

/** An array of a batch, by the model's name for it. */
interface HostInput {
  name: string;
  values: Int32Array | Float32Array;
  shape: readonly number[];
  dtype: DType;
}

/** Without padding there is no mask: attention is faster so. */
function hostInputs({ input_ids, attention_mask, token_type_ids, labels, shape }: Batch): HostInput[] {
  const dtype = labels instanceof Float32Array ? "f32" : "i32";
  return [
    { name: "input_ids", values: input_ids, shape, dtype: "i32" },
    ...(attention_mask.every((v) => v === 1)
      ? []
      : [{ name: "attention_mask", values: attention_mask, shape, dtype: "i32" } as const]),
    { name: "token_type_ids", values: token_type_ids, shape, dtype: "i32" },
    ...(labels ? [{ name: "labels", values: labels, shape: [shape[0]], dtype } as const] : []),
  ];
}

/** A batch in the form that models take. */
export const inputsOf = (batch: Batch): StepInputs => onHost(hostInputs(batch));

const onHost = (inputs: readonly HostInput[]): StepInputs =>
  Object.fromEntries(inputs.map(({ name, values, shape }) => [name, { data: values, shape }])) as unknown as StepInputs;
