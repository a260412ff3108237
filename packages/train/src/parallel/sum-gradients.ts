import { noGrad } from "@gpugrad/autograd";
import { atThisPoint, cast, concat, copyInto, device, fromBytes, reshape, scope, slice, type Tensor } from "@gpugrad/tensor"; // prettier-ignore
import type { Exchange } from "../trainer/recorded-steps.ts";
import type { Ranks } from "./ranks.ts";

/** How gradients are summed over ranks. */
export interface SumOptions {
  /** MB of gradients that are sent together, as f32. */
  bucketCapMb: number;
  /** Whether they are rounded to f16 on the wire. */
  half: boolean;
}

/** How long a bucket of an exchange has taken, in milliseconds since the first one was sent. */
export interface BucketTimes {
  /** Gradients, and the bytes of them on the wire. */
  tensors: number;
  bytes: number;
  /** When all of its gradients were recorded, and had come from the device. */
  sent: number;
  read: number;
  /** When its turn came, all ranks had it, it was summed over them, and it was on its way back to the device. */
  begun: number;
  met: number;
  summed: number;
  written: number;
}

/** What an exchange has taken. */
export interface ExchangeTimes {
  buckets: readonly BucketTimes[];
  /** When the device was through with backward. */
  backward: number;
}

/** The share of the time for summing and writing that has passed while backward was under way. */
export function overlapOf({ buckets, backward }: ExchangeTimes): number {
  const sum = (of: (bucket: BucketTimes) => number): number => buckets.reduce((all, bucket) => all + of(bucket), 0);
  const during = sum(({ begun, written }) => Math.max(0, Math.min(written, backward) - begun));
  return during / sum(({ begun, written }) => written - begun);
}

/**
 * Sums gradients and loss over the ranks. Gradients go in buckets, in the order in which backward completes them: each is read from the device,
 * summed and written back while backward continues. The order is that of the first update on rank 0, after which all gradients go at once.
 * @param onTimes is called with what each exchange has taken; ranks then meet before each bucket, which shows how long they wait
 */
export function sumOverRanks(
  ranks: Ranks,
  options: SumOptions,
  onTimes?: (times: ExchangeTimes) => void,
): Exchange & Required<Pick<Exchange, "watch">> {
  const sum = new GradientSum(ranks, options, onTimes);
  const exchange: Exchange = (gradients, loss, parameters) => sum.finish(gradients, loss, parameters);
  return Object.assign(exchange, { watch: sum.watch.bind(sum) });
}

class GradientSum {
  readonly #ranks: Ranks;
  readonly #options: SumOptions;
  readonly #onTimes: ((times: ExchangeTimes) => void) | undefined;
  /** Parameters whose gradients go together, on all ranks in this order; none before the first exchange. */
  #buckets: readonly (readonly Tensor[])[] = [];
  /** Parameters in the order in which backward has completed their gradients. */
  #order: readonly Tensor[] = [];
  /** Buckets of this update that have been sent. */
  #sent = 0;
  #times: BucketTimes[] = [];
  #start = 0;
  /** Until what has been sent is back on the device. */
  #last: Promise<void> = Promise.resolve();

  constructor(ranks: Ranks, options: SumOptions, onTimes: ((times: ExchangeTimes) => void) | undefined) {
    this.#ranks = ranks;
    this.#options = options;
    this.#onTimes = onTimes;
  }

  watch(gradientOf: (parameter: Tensor) => Tensor): (parameter: Tensor) => void {
    const order: Tensor[] = (this.#order = []);
    const buckets = this.#buckets;
    const bucketOf = new Map(buckets.flatMap((bucket, i) => bucket.map((parameter) => [parameter, i] as const)));
    const missing = buckets.map(({ length }) => length);
    let next = 0;
    return (parameter) => {
      order.push(parameter);
      const i = bucketOf.get(parameter);
      if (i === undefined) return;
      missing[i]!--;
      for (; missing[next] === 0; next++) {
        const bucket = buckets[next]!;
        atThisPoint(() => {
          if (this.#buckets[this.#sent] === bucket) this.#send(bucket.map(gradientOf));
        });
      }
    };
  }

  /** Sends what backward has not, and the loss; waits until all of it is back. */
  async finish(gradients: readonly Tensor[], loss: Tensor, parameters: readonly Tensor[]): Promise<void> {
    const gradientOf = new Map(parameters.map((parameter, i) => [parameter, gradients[i]!]));
    const known = new Set(this.#buckets.flat());
    const others = parameters.filter((parameter) => !known.has(parameter));
    for (const bucket of [...this.#buckets.slice(this.#sent), ...this.#inBuckets(others)]) {
      const own = bucket.flatMap((parameter) => gradientOf.get(parameter) ?? []);
      if (own.length > 0) this.#send(own);
    }
    this.#send([loss], { exact: true }); // it is logged, and says whether the update is left out
    const backward =
      this.#onTimes &&
      device()
        .finish()
        .then(() => this.#since());
    await this.#last;
    this.#onTimes?.({ buckets: this.#times, backward: (await backward)! });
    if (others.length > 0 || known.size > parameters.length) await this.#arrange(parameters);
    this.#sent = 0;
    this.#times = [];
  }

  /** Has the gradients of these parameters go in the order in which backward completes them on rank 0. */
  async #arrange(parameters: readonly Tensor[]): Promise<void> {
    const numbers = new Map(parameters.map((parameter, i) => [parameter, i]));
    const order = await this.#ranks.lead("the order of gradients", () =>
      this.#order.flatMap((parameter) => numbers.get(parameter) ?? []),
    );
    const found = new Set(order);
    const others = parameters.filter((_, i) => !found.has(i)).reverse();
    this.#buckets = this.#inBuckets([...order.map((i) => parameters[i]!), ...others]);
  }

  #inBuckets(parameters: readonly Tensor[]): Tensor[][] {
    return bucketsOf(parameters, this.#options.bucketCapMb * 2 ** 20);
  }

  #since(): number {
    return performance.now() - this.#start;
  }

  /** Begins to sum a bucket over the ranks, after those before it. */
  #send(bucket: readonly Tensor[], { exact = false } = {}): void {
    if (this.#sent++ === 0) this.#start = performance.now();
    const half = this.#options.half && !exact;
    const sent = this.#since();
    let read = 0;
    const reading = packed(bucket, half).then((bytes) => ((read = this.#since()), bytes));
    this.#last = Promise.all([reading, this.#last]).then(async ([bytes]) => {
      const begun = this.#since();
      if (this.#onTimes) await this.#ranks.allGather("gradients", null);
      const met = this.#since();
      const Elements = half ? Uint16Array : Float32Array;
      const { buffer, byteOffset, byteLength } = bytes;
      await this.#ranks.sum("gradients", new Elements(buffer as ArrayBuffer, byteOffset, byteLength / Elements.BYTES_PER_ELEMENT)); // prettier-ignore
      const summed = this.#since();
      unpack(bytes, bucket, half);
      const written = this.#since();
      this.#times.push({ tensors: bucket.length, bytes: byteLength, ...{ sent, read, begun, met, summed, written } });
    });
    this.#last.catch(() => undefined); // it is awaited later
  }
}

/** Tensors in groups of so many bytes; one that is larger is alone. */
export function bucketsOf(tensors: readonly Tensor[], capBytes: number): Tensor[][] {
  const buckets: Tensor[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const bytes = 4 * tensor.size;
    if (bytes > room) {
      buckets.push([]);
      room = capBytes;
    }
    buckets.at(-1)!.push(tensor);
    room -= bytes;
  }
  return buckets;
}

/** The elements of a bucket, one tensor after the other. */
function packed(bucket: readonly Tensor[], half: boolean): Promise<Uint8Array> {
  return scope(() =>
    noGrad(() => {
      const flat = bucket.map((tensor) => reshape(tensor, [tensor.size]));
      const all = flat.length > 1 ? concat(flat) : flat[0]!;
      return (half ? cast(all, "f16") : all).bytes(); // the copy is recorded; the memory may go
    }),
  );
}

/** Writes a bucket's elements back. */
function unpack(bytes: Uint8Array, bucket: readonly Tensor[], half: boolean): void {
  let at = 0;
  if (!half) {
    for (const tensor of bucket) tensor.writeBytes(bytes.subarray(at, (at += 4 * tensor.size)));
    return;
  }
  scope(() =>
    noGrad(() => {
      const all = cast(fromBytes(bytes, [bytes.byteLength / 2], "f16"), "f32");
      for (const tensor of bucket) {
        copyInto(tensor, reshape(slice(all, [[at, at + tensor.size]]), tensor.shape));
        at += tensor.size;
      }
    }),
  );
}
