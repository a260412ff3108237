import { describe, expect, test } from "vitest";
import { addInPlace } from "../ops/elementwise/fill.ts";
import { add } from "../ops/elementwise/binary.ts";
import { dropout } from "../ops/dropout/dropout.ts";
import { matmul } from "../ops/matmul/matmul.ts";
import { softmax } from "../ops/softmax/softmax.ts";
import { manualSeed } from "../random.ts";
import { scope } from "../scope.ts";
import { fromArray } from "../factories.ts";
import { type Tensor, undisposed } from "../tensor.ts";
import { withDevice } from "../testing/check-op.ts";
import { device } from "./init.ts";
import { atThisPoint, record } from "./recording.ts";

describe("record", () => {
  withDevice();

  const inputs = [1, 2, 3, 4].map((n) => Float32Array.from({ length: 6 * 5 }, (_, i) => Math.sin(n * i)));
  const work = (x: Tensor, w: Tensor): Tensor => scope(() => softmax(dropout(matmul(x, w), { p: 0.4 })));

  test("a replay does what another call would: new inputs, the next random numbers, the same bytes", async () => {
    const w = fromArray(inputs[0]!, [5, 6]);
    manualSeed(7);
    const want: number[][] = [];
    for (const values of inputs) {
      const x = fromArray(values, [6, 5]);
      const y = work(x, w);
      want.push([...(await y.data())]);
      x.dispose();
      y.dispose();
    }

    manualSeed(7);
    const x = fromArray(inputs[0]!, [6, 5]);
    const before = undisposed();
    const { result, recording } = record(() => work(x, w));
    expect([...(await result.data())]).toEqual(want[0]);
    for (const [i, values] of inputs.entries()) {
      if (i === 0) continue;
      x.writeBytes(new Uint8Array(values.buffer));
      device().queue.flush();
      const submits = device().queue.batch;
      recording.replay();
      const read = result.data();
      expect(device().queue.batch - submits, "submits of a replay and its read").toBe(1);
      const other = fromArray(values, [6, 5]); // other work between replays doesn't take the recording's buffers
      const sum = add(other, other);
      expect([...(await read)]).toEqual(want[i]);
      for (const t of [other, sum]) t.dispose();
    }
    result.dispose();
    recording.dispose();
    expect(undisposed()).toBe(before);
    for (const t of [x, w]) t.dispose();
  });

  test("work at a point is done in replays, and reads what tensors are there", async () => {
    const x = fromArray([1], [1]);
    const total = fromArray([0], [1]);
    const read: Promise<number>[] = [];
    const work = (): void => {
      for (let i = 0; i < 2; i++) {
        addInPlace(total, x);
        atThisPoint(() => read.push(total.item()));
      }
    };
    const { recording } = record(work);
    expect(read).toHaveLength(0); // 2 now
    x.write([10]);
    recording.replay();
    work();
    expect(await Promise.all(read)).toEqual([12, 22, 32, 42]);
    recording.dispose();
    for (const t of [x, total]) t.dispose();
  });

  test("work of more than one submit", async () => {
    const x = fromArray([0], [1]);
    const { result, recording } = record(() =>
      scope(() => Array.from({ length: 1500 }).reduce<Tensor>((y) => add(y, 1), x)),
    );
    expect(await result.item()).toBe(1500);
    x.writeBytes(new Uint8Array(Float32Array.of(7).buffer));
    recording.replay();
    expect(await result.item()).toBe(1507);
    for (const t of [x, result]) t.dispose();
    recording.dispose();
  });

  test("what a replay could not do again is refused, and nothing stays reserved", async () => {
    const x = fromArray([1, 2], [2]);
    expect(() => record(() => fromArray([1], [1]))).toThrow("record: data is uploaded inside the recorded work");
    expect(() => record(() => x.write([3, 4]))).toThrow("record: data is uploaded inside the recorded work");
    expect(await x.toArray()).toEqual([1, 2]);
    expect(() => record(() => Promise.resolve())).toThrow("record: the work is asynchronous");
    expect(() => record(() => record(() => add(x, 1)))).toThrow(
      "record: other work is recorded inside the recorded work",
    );
    let reading: Promise<unknown> | undefined;
    record(() => void (reading = x.data())).recording.dispose();
    await expect(reading).rejects.toThrow("record: a tensor is read inside the recorded work");
    const y = add(x, 1); // and after that everything works
    for (const t of [x, y]) t.dispose();
  });
});
