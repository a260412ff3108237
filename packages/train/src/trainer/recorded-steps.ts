import type { ArrayInput } from "@gpugrad/bert";
import { device, fromArray, keep, record, type Recording, type Tensor } from "@gpugrad/tensor";
import type { Arrays, NamedArray } from "../data/batch.ts";

/** Inputs of a forward by their names: the arrays of a batch, on the host or on the device. */
export interface StepInputs {
  input_ids: ArrayInput;
  [name: string]: ArrayInput | undefined;
}

/** An update's inputs: its batches, and what share of the loss each has, f32 `[batches]`; one batch alone has all of it. */
export interface UpdateInputs {
  batches: readonly StepInputs[];
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
  readonly #check: (arrays: Arrays) => void;
  readonly #dependsOn: () => string;
  readonly #update: (inputs: UpdateInputs) => Tensor;
  readonly #recorded = new Map<string, Recorded>();
  readonly #seen = new Set<string>();
  /** What the update depended on when these were recorded. */
  #recordedFor = "";
  readonly #device = device();
  readonly #forget = (): void => this.#disposeRecordings();

  /**
   * @param check looks at what goes to the device unseen by the model. @throws for values that the model would refuse
   * @param update records an update, and gives what is to be read of it. It may do nothing that `record()` refuses.
   * @param dependsOn everything on the host that decides what the update does, as a text: when it changes, recordings are dropped
   */
  constructor(check: (arrays: Arrays) => void, update: (inputs: UpdateInputs) => Tensor, dependsOn: () => string) {
    this.#check = check;
    this.#update = update;
    this.#dependsOn = dependsOn;
    this.#device.givers.add(this.#forget); // where memory is short, an update is recorded once more when its shape comes again
  }

  /**
   * Does an update, and reads its result.
   * @param shares of the loss, one for each of several batches
   * @param options.records whether the update may be recorded, and a recording of it replayed
   * @throws what `check` throws
   */
  run(
    batches: readonly Arrays[],
    shares: readonly number[] = [],
    { records = true }: { records?: boolean } = {},
  ): Promise<ArrayLike<number>> {
    if (!records) return this.#call(batches, shares);
    const dependsOn = this.#dependsOn();
    if (dependsOn !== this.#recordedFor) {
      this.#disposeRecordings();
      this.#seen.clear();
      this.#recordedFor = dependsOn;
    }
    const shapeOf = ([name, { dtype, shape }]: [string, NamedArray]): string => `${name} ${dtype} ${shape.join("×")}`;
    const key = batches.map((arrays) => Object.entries(arrays).map(shapeOf).join()).join(" + ");
    const recorded = this.#recorded.get(key);
    const recordsNow = !recorded && this.#seen.has(key) && this.#recorded.size < MAX_SHAPES;
    if (!recorded && !recordsNow) {
      this.#seen.add(key);
      return this.#call(batches, shares);
    }
    // Inputs on the host are looked at by the model itself; those on the device can't be.
    batches.forEach(this.#check);
    const all = batches.flatMap((arrays, i) =>
      Object.entries(arrays).map(([name, array]): [string, NamedArray] => [`${i} ${name}`, array]),
    );
    if (batches.length > 1)
      all.push(["shares", { data: Float32Array.from(shares), shape: [shares.length], dtype: "f32" }]);
    if (recorded) {
      for (const [name, { data }] of all) recorded.inputs[name]!.write(data);
      recorded.recording.replay();
      return recorded.result.data();
    }
    return this.#record(key, batches, all).data();
  }

  #call(batches: readonly Arrays[], shares: readonly number[]): Promise<ArrayLike<number>> {
    const called = (): Promise<ArrayLike<number>> => {
      const shared = batches.length > 1 ? fromArray(shares, [shares.length]) : undefined;
      const result = this.#update({ batches, ...(shared && { shares: shared }) });
      shared?.dispose();
      const values = result.data();
      result.dispose(); // the read is recorded; the memory may go
      return values;
    };
    return this.#device.pool.lend(called, this.#recorded.size, this.#forget);
  }

  #record(key: string, batches: readonly Arrays[], all: readonly [string, NamedArray][]): Tensor {
    const inputs: Record<string, Tensor> = {};
    for (const [name, { data, shape, dtype }] of all) inputs[name] = keep(fromArray(data, shape, dtype));
    const placed = batches.map((arrays, i): StepInputs => {
      const own = Object.keys(arrays).map((name) => [name, inputs[`${i} ${name}`]!] as const);
      return { input_ids: inputs[`${i} input_ids`]!, ...Object.fromEntries(own) };
    });
    const shares = inputs["shares"];
    try {
      const { recording, result } = record(() => this.#update({ batches: placed, ...(shares && { shares }) }));
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
