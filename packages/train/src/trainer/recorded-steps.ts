import { device, fromArray, keep, record, scope, type Recording, type Tensor } from "@gpugrad/tensor";
import type { Arrays, Inputs, NamedArray } from "../data/batch.ts";

/** An update's inputs: its batches, and what share of the loss each has, f32 `[batches]`; one batch alone may have all of it. */
export interface UpdateInputs {
  batches: readonly Inputs[];
  shares?: Tensor;
}

/** Changes gradients and the loss, a scalar, in place, between the two halves of an update: what several devices that train together need. */
export interface Exchange {
  /** @param parameters whose gradients they are, in their order */
  (gradients: readonly Tensor[], loss: Tensor, parameters: readonly Tensor[]): void | Promise<void>;
  /**
   * For one that begins while backward continues: gives what is called with each parameter once its gradient is complete.
   * @param gradientOf gives a parameter's gradient, at this point of the update ({@link atThisPoint})
   */
  watch?(gradientOf: (parameter: Tensor) => Tensor): (parameter: Tensor) => void;
}

/** An update in two halves. Neither may do anything that `record()` refuses. */
export interface UpdateHalves {
  /** Looks at what goes to the device unseen by the model. @throws for values that the model would refuse */
  check(arrays: Arrays): void;
  /** Adds the gradients of batches to those of the parameters; gives the loss. @param onGradient called with each parameter whose gradient is complete */
  gradients(inputs: UpdateInputs, onGradient?: (parameter: Tensor) => void): Tensor;
  /** The parameters that have a gradient now. */
  withGradients(): readonly Tensor[];
  /** Moves the parameters; gives what is to be read of the update. */
  apply(loss: Tensor): Tensor;
  /** Everything on the host that decides what the update does, as a text: when it changes, recordings are dropped. */
  dependsOn(): string;
  readonly exchange?: Exchange | undefined;
}

/** An update on its way. */
export interface Sent {
  /** Its result, once the device has it. */
  values: Promise<ArrayLike<number>>;
  /** When all of it has been sent, where an exchange takes time: no other update may begin before. */
  sent?: Promise<void>;
}

/** Shapes whose update is recorded. Where there are more of them, the others are called as they come. */
const MAX_SHAPES = 16;

/** An update of one shape: its inputs are written to, then its commands are sent again. */
interface Recorded {
  inputs: Record<string, Tensor>;
  /** The whole update, or where gradients are exchanged its first half. */
  recording: Recording;
  /** What the exchange changes, and the half after it. */
  second?: { exchanged: Parameters<Exchange>; recording: Recording };
  /** The tensors of it that are kept. */
  kept: readonly Tensor[];
  result: Tensor;
}

/**
 * Does the same update with batch after batch. Shapes that come a second time are recorded (docs/decisions/recorded-steps.md): from then on
 * an update of them costs the host a few microseconds per dispatch.
 */
export class RecordedSteps {
  readonly #update: UpdateHalves;
  readonly #recorded = new Map<string, Recorded>();
  readonly #seen = new Set<string>();
  /** What the update depended on when these were recorded. */
  #recordedFor = "";
  readonly #device = device();
  readonly #forget = (): void => this.#disposeRecordings();

  constructor(update: UpdateHalves) {
    this.#update = update;
    this.#device.reclaimers.add(this.#forget); // where memory is short, an update is recorded once more when its shape comes again
  }

  /**
   * Does an update, and reads its result.
   * @param shares of the loss, one for each batch; none where one batch has all of it
   * @param options.records whether the update may be recorded, and a recording of it replayed
   * @throws what the update's `check` throws
   */
  run(
    batches: readonly Arrays[],
    shares: readonly number[] = [],
    { records = true }: { records?: boolean } = {},
  ): Sent {
    if (!records) return this.#call(batches, shares);
    const dependsOn = this.#update.dependsOn();
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
    // Inputs on the host are checked by the model itself; those on the device can't be.
    for (const arrays of batches) this.#update.check(arrays);
    const all = batches.flatMap((arrays, i) =>
      Object.entries(arrays).map(([name, array]): [string, NamedArray] => [`${i} ${name}`, array]),
    );
    if (shares.length > 0)
      all.push(["shares", { data: Float32Array.from(shares), shape: [shares.length], dtype: "f32" }]);
    if (recorded) {
      for (const [name, { data }] of all) recorded.inputs[name]!.write(data);
      recorded.recording.replay();
      return this.#finish(recorded);
    }
    return this.#record(key, batches, all);
  }

  /** Sends the half after the exchange, where there is one, and reads the result. */
  #finish({ second, result }: Recorded): Sent {
    if (!second) return { values: result.data() };
    return afterExchange(this.#update.exchange!(...second.exchanged), () => {
      second.recording.replay();
      return result.data();
    });
  }

  #call(batches: readonly Arrays[], shares: readonly number[]): Sent {
    const { exchange } = this.#update;
    const shared = shares.length > 0 ? fromArray(shares, [shares.length]) : undefined;
    const inputs = { batches, ...(shared && { shares: shared }) };
    const lend = <T>(work: () => T): T => this.#device.pool.lend(work, this.#recorded.size, this.#forget);
    const read = (result: Tensor): Promise<ArrayLike<number>> => {
      const values = result.data();
      result.dispose(); // the read is recorded; the memory may go
      return values;
    };
    if (!exchange) {
      const values = lend(() => read(scope(() => this.#update.apply(this.#update.gradients(inputs)))));
      shared?.dispose();
      return { values };
    }
    const loss = keep(
      this.#update.gradients(
        inputs,
        exchange.watch?.(({ grad }) => grad!),
      ),
    );
    shared?.dispose();
    const parameters = this.#update.withGradients();
    return afterExchange(
      exchange(
        parameters.map(({ grad }) => grad!),
        loss,
        parameters,
      ),
      () => {
        const values = read(this.#update.apply(loss));
        loss.dispose();
        return values;
      },
    );
  }

  #record(key: string, batches: readonly Arrays[], all: readonly [string, NamedArray][]): Sent {
    const { exchange } = this.#update;
    const inputs: Record<string, Tensor> = {};
    for (const [name, { data, shape, dtype }] of all) inputs[name] = keep(fromArray(data, shape, dtype));
    const placed = batches.map((arrays, i): Inputs => {
      const own = Object.keys(arrays).map((name) => [name, inputs[`${i} ${name}`]!] as const);
      return { input_ids: inputs[`${i} input_ids`]!, ...Object.fromEntries(own) };
    });
    const shares = inputs["shares"];
    const given = { batches: placed, ...(shares && { shares }) };
    try {
      if (!exchange) {
        const whole = record(() => scope(() => this.#update.apply(this.#update.gradients(given))));
        const result = keep(whole.result);
        this.#recorded.set(key, { inputs, recording: whole.recording, kept: [result], result });
        return { values: result.data() };
      }
      const gradientOf = new Map<Tensor, Tensor>();
      const first = record(() =>
        this.#update.gradients(
          given,
          exchange.watch?.((parameter) => gradientOf.get(parameter)!),
        ),
      );
      const loss = keep(first.result);
      const parameters = this.#update.withGradients();
      for (const parameter of parameters) gradientOf.set(parameter, keep(parameter.grad!.alias())); // the update forgets its own
      const gradients = [...gradientOf.values()];
      const exchanged: Parameters<Exchange> = [gradients, loss, parameters];
      return afterExchange(exchange(...exchanged), () => {
        const { recording, result } = record(() => this.#update.apply(loss));
        keep(result);
        const kept = [loss, ...gradients, result];
        const second = { exchanged, recording };
        this.#recorded.set(key, { inputs, recording: first.recording, second, kept, result });
        return result.data();
      });
    } catch (error) {
      for (const tensor of Object.values(inputs)) tensor.dispose();
      throw error;
    }
  }

  /** Gives the memory of all recordings back. */
  dispose(): void {
    this.#device.reclaimers.delete(this.#forget);
    this.#disposeRecordings();
  }

  #disposeRecordings(): void {
    for (const { inputs, recording, second, kept } of this.#recorded.values()) {
      for (const tensor of [...Object.values(inputs), ...kept]) tensor.dispose();
      recording.dispose();
      second?.recording.dispose();
    }
    this.#recorded.clear();
  }
}

/** Continues once an exchange is over. */
function afterExchange(exchanged: void | Promise<void>, rest: () => Promise<ArrayLike<number>>): Sent {
  if (!exchanged) return { values: rest() };
  const values = exchanged.then(() => ({ read: rest() }));
  return { values: values.then(({ read }) => read), sent: values.then(() => undefined) };
}
