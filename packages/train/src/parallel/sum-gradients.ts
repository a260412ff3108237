import { noGrad } from "@gpugrad/autograd";
import { cast, concat, copyInto, fromBytes, reshape, scope, slice, type Tensor } from "@gpugrad/tensor";
import type { Exchange } from "../trainer/recorded-steps.ts";
import type { Ranks } from "./ranks.ts";

/** How gradients are summed over ranks. */
export interface SumOptions {
  /** MB of gradients that are sent together, as f32. */
  bucketCapMb: number;
  /** Whether they are rounded to f16 on the wire. */
  half: boolean;
}

/** How long a bucket of an exchange has taken, in milliseconds since its beginning. */
export interface BucketTimes {
  /** Gradients, and the bytes of them on the wire. */
  tensors: number;
  bytes: number;
  /** When it had come from the device, was summed over the ranks, and was on its way back to the device. */
  read: number;
  summed: number;
  written: number;
}

/** Buckets on their way from the device while another one is summed. */
const READ_AHEAD = 2;

/**
 * Sums gradients and loss over the ranks, between the two halves of an update. They go in buckets, the last layers first: while one is summed over
 * the ranks, the next ones are read and the one before is written.
 * @param onBuckets is called with what each exchange has taken
 */
export function sumOverRanks(
  ranks: Ranks,
  { bucketCapMb, half }: SumOptions,
  onBuckets?: (buckets: readonly BucketTimes[]) => void,
): Exchange {
  return async (gradients, loss) => {
    const start = performance.now();
    const since = (): number => performance.now() - start;
    const buckets = bucketsOf([loss, ...[...gradients].reverse()], bucketCapMb * 2 ** 20);
    const reads: Promise<Uint8Array>[] = [];
    const times: BucketTimes[] = [];
    const read = (i: number): void => {
      // The loss is logged, and says whether the update is left out: it is never rounded.
      const reading = packed(buckets[i]!, half && i > 0);
      reading.catch(() => undefined); // it is awaited later
      reads.push(reading);
    };
    for (let i = 0; i < Math.min(READ_AHEAD, buckets.length); i++) read(i);
    for (const [i, bucket] of buckets.entries()) {
      const bytes = await reads[i]!;
      if (i + READ_AHEAD < buckets.length) read(i + READ_AHEAD);
      const taken = { tensors: bucket.length, bytes: bytes.byteLength, read: since() };
      const isHalf = half && i > 0;
      const values = new (isHalf ? Uint16Array : Float32Array)(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / (isHalf ? 2 : 4)); // prettier-ignore
      await ranks.sum("gradients", values);
      const summed = since();
      unpack(bytes, bucket, isHalf);
      times.push({ ...taken, summed, written: since() });
    }
    onBuckets?.(times);
  };
}

/** Tensors in groups of so many bytes; the first is one by itself, so is one that is larger. */
export function bucketsOf(tensors: readonly Tensor[], capBytes: number): Tensor[][] {
  const [loss, ...gradients] = tensors;
  const buckets: Tensor[][] = [[loss!]];
  let room = 0;
  for (const gradient of gradients) {
    const bytes = 4 * gradient.size;
    if (bytes > room) {
      buckets.push([]);
      room = capBytes;
    }
    buckets.at(-1)!.push(gradient);
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
