import { checkInputs, type BertConfig, type ModelInputs } from "@gpugrad/bert";
import { device, fromArray, keep, record, type DType, type Recording, type Tensor } from "@gpugrad/tensor";
import type { Batch } from "../data/data-loader.ts";

/** Inputs of a forward, on the host or on the device. */
export type StepInputs = ModelInputs & { labels?: ModelInputs["input_ids"] };

/** An update's inputs: its batches, and what share of the loss each has, f32 `[batches]`; one batch alone has all of it. */
export interface UpdateInputs {
  batches: StepInputs[];
  shares?: Tensor;
}

/** Shapes whose update is recorded. Where there are more of them, the others are called as they come. */
const MAX_SHAPES = 16;

/** An update of one shape: its inputs are written to, then its commands are sent again. */
interface Recorded {
  inputs: Record<string, Tensor>;
  recording: Recording;
  result: Tensor;
}

/**
 * Does the same update with batch after batch. Shapes that come a second time are recorded (docs/decisions/recorded-steps.md): from then on
 * an update of them costs the host a few microseconds per dispatch.
 */
export class RecordedSteps {
  readonly #config: BertConfig;
  readonly #dependsOn: () => string;
  readonly #update: (inputs: UpdateInputs) => Tensor;
  readonly #recorded = new Map<string, Recorded>();
  readonly #seen = new Set<string>();
  /** What the update depended on when these were recorded. */
  #recordedFor = "";
  readonly #device = device();
  readonly #forget = (): void => this.#disposeRecordings();

  /**
   * @param update records an update, and gives what is to be read of it. It may do nothing that `record()` refuses.
   * @param dependsOn everything on the host that decides what the update does, as a text: when it changes, recordings are dropped
   */
  constructor(config: BertConfig, update: (inputs: UpdateInputs) => Tensor, dependsOn: () => string) {
    this.#config = config;
    this.#update = update;
    this.#dependsOn = dependsOn;
    this.#device.givers.add(this.#forget); // where memory is short, an update is recorded once more when its shape comes again
  }

  /**
   * Does an update, and reads its result.
   * @param shares of the loss, one for each of several batches
   * @param options.records whether the update may be recorded, and a recording of it replayed
   * @throws when ids or labels are beyond what the config allows
   */
  run(
    batches: readonly Batch[],
    shares: readonly number[] = [],
    { records = true }: { records?: boolean } = {},
  ): Promise<ArrayLike<number>> {
    const given = batches.map(hostInputs);
    if (!records) return this.#call(given, shares);
    const dependsOn = this.#dependsOn();
    if (dependsOn !== this.#recordedFor) {
      this.#disposeRecordings();
      this.#seen.clear();
      this.#recordedFor = dependsOn;
    }
    const nameOf = ({ name, shape, dtype }: HostInput): string => `${name} ${dtype} ${shape.join("×")}`;
    const key = given.map((inputs) => inputs.map(nameOf).join()).join(" + ");
    const recorded = this.#recorded.get(key);
    const recordsNow = !recorded && this.#seen.has(key) && this.#recorded.size < MAX_SHAPES;
    if (!recorded && !recordsNow) {
      this.#seen.add(key);
      return this.#call(given, shares);
    }
    // Inputs on the host are looked at by the model itself; those on the device can't be.
    for (const { input_ids: ids, token_type_ids: types, labels } of batches)
      checkInputs(this.#config, { ids, types, classes: labels instanceof Float32Array ? undefined : labels });
    const all = given.flatMap((inputs, i) => inputs.map((input) => ({ ...input, name: `${i} ${input.name}` })));
    if (batches.length > 1)
      all.push({ name: "shares", values: Float32Array.from(shares), shape: [shares.length], dtype: "f32" });
    if (recorded) {
      for (const { name, values } of all) recorded.inputs[name]!.write(values);
      recorded.recording.replay();
      return recorded.result.data();
    }
    return this.#record(key, given, all).data();
  }

  #call(given: readonly HostInput[][], shares: readonly number[]): Promise<ArrayLike<number>> {
    const called = (): Promise<ArrayLike<number>> => {
      const shared = given.length > 1 ? fromArray(shares, [shares.length]) : undefined;
      const result = this.#update({ batches: given.map(onHost), ...(shared && { shares: shared }) });
      shared?.dispose();
      const values = result.data();
      result.dispose(); // the read is recorded; the memory may go
      return values;
    };
    return this.#device.pool.lend(called, this.#recorded.size, this.#forget);
  }

  #record(key: string, given: readonly HostInput[][], all: readonly HostInput[]): Tensor {
    const inputs: Record<string, Tensor> = {};
    for (const { name, values, shape, dtype } of all) inputs[name] = keep(fromArray(values, shape, dtype));
    const batches = given.map(
      (batch, i) =>
        Object.fromEntries(batch.map(({ name }) => [name, inputs[`${i} ${name}`]])) as unknown as StepInputs,
    );
    const shares = inputs["shares"];
    try {
      const { recording, result } = record(() => this.#update({ batches, ...(shares && { shares }) }));
      this.#recorded.set(key, { inputs, recording, result: keep(result) });
      return result;
    } catch (error) {
      for (const tensor of Object.values(inputs)) tensor.dispose();
      throw error;
    }
  }

  /** Gives the memory of all recordings back. */
  dispose(): void {
    this.#device.givers.delete(this.#forget);
    this.#disposeRecordings();
  }

  #disposeRecordings(): void {
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
