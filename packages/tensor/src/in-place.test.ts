import { afterEach, describe, expect, test, vi } from "vitest";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fromArray, fromBytes, tensor } from "./factories.ts";
import { copyInto, overwrite } from "./in-place.ts";
import { add, mul } from "./ops/elementwise/binary.ts";
import { argmax, maxAlong } from "./ops/reduce/extremes.ts";
import "./methods.ts";
import { hooks, type Call } from "./recorder.ts";
import { destroy, init } from "./runtime/init.ts";
import { scope } from "./scope.ts";
import { memory, Storage } from "./storage.ts";
import { leaks, undisposed, type GradNode } from "./tensor.ts";
import { withDevice } from "./testing/check-op.ts";

withDevice();
afterEach(() => void (hooks.recorder = null));

/** Takes autograd's place. */
function recording() {
  const calls: Call[] = [];
  const backward = vi.fn();
  hooks.recorder = { record: (call) => void calls.push(call), isRecording: () => true, backward };
  return { calls, backward };
}
const node = (release = vi.fn()): GradNode & { release: typeof release } => ({ op: "test", release });

describe("copies in place", () => {
  test("take shape and dtype as they are, count as a change, and do nothing to the tensor itself", async () => {
    const [x, y] = [tensor([1, 2, 3]), tensor([4, 5, 6])];
    copyInto(x, y);
    expect([await x.toArray(), x.storage.version]).toEqual([[4, 5, 6], 1]);
    overwrite(x, x.alias());
    expect(x.storage.version).toBe(1);
    const none = fromArray([], [0]);
    copyInto(none, fromArray([], [0]));
    expect(none.storage.version).toBe(1);
    expect(() => copyInto(x, tensor([1, 2]))).toThrow(
      "copyInto: Tensor([2] f32, user) doesn't fit Tensor([3] f32, user)",
    );
    expect(() => copyInto(x, tensor([1, 2, 3], "i32"))).toThrow("copyInto: Tensor([3] i32, user) doesn't fit");
  });

  test("refuse a source whose gradient would be lost, while calls are recorded", async () => {
    const [x, y] = [tensor([1]), tensor([2]).requireGrad()];
    copyInto(x, y); // nobody records
    recording();
    expect(() => copyInto(x, y)).toThrow(
      "copyInto: no gradient would flow back to Tensor([1] f32, user, requiresGrad), since changes in place are not recorded",
    );
    copyInto(x, tensor([3]));
    hooks.recorder!.isRecording = () => false;
    copyInto(x, y);
    expect(await x.item()).toBe(2);
  });
});

describe("restore", () => {
  test("puts bytes back in place, forgets the gradient, and refuses another number of them", async () => {
    for (const dtype of ["f32", "f16"] as const) {
      const x = tensor([1, 2, 3], dtype).requireGrad();
      const { storage } = x;
      const bytes = await x.bytes();
      expect(bytes.byteLength).toBe(dtype === "f16" ? 6 : 12);
      x.write([7, 8, 9]);
      const grad = (x.grad = tensor([1]));
      x.restore(bytes);
      expect([await x.toArray(), x.grad, grad.disposed, x.storage === storage]).toEqual([[1, 2, 3], null, true, true]);
      expect(() => x.restore(new Uint8Array(4))).toThrow(/restore: 4 bytes for the (6|12) of Tensor\(\[3\]/);
    }
  });

  test("takes new memory on a new device, where the object stays the same", async () => {
    const x = tensor([1, 2]);
    const bytes = await x.bytes();
    const step = node();
    x.gradNode = step;
    await destroy();
    await init();
    const before = memory().storages;
    x.restore(bytes);
    expect([await x.toArray(), x.gradNode, step.release.mock.calls.length]).toEqual([[1, 2], null, 1]);
    expect(memory().storages).toBe(before + 1);
    x.dispose();
    expect(memory().storages).toBe(before);
  });
});

describe("what autograd sees", () => {
  test("only floats may require a gradient; a step is released with its tensor", () => {
    expect(() => tensor([1], "i32").requireGrad()).toThrow("has no gradient: only floats have one (f32, f16, bf16)");
    const whole = tensor([1], "i32");
    whole.requiresGrad = false;
    const x = tensor([1]);
    const step = node();
    x.gradNode = step;
    x.dispose();
    expect([step.release.mock.calls.length, x.gradNode]).toEqual([1, null]);
  });

  test("a call is recorded once, by its outermost op, where an input requires a gradient; the first result counts", () => {
    const { calls } = recording();
    const [w, x] = [tensor([1, 2]).requireGrad(), tensor([3, 4])];
    mul(x, x);
    argmax(w);
    expect(calls).toEqual([]);
    const y = mul(w, x);
    expect(calls.map(({ op, output }) => [op, output === y])).toEqual([["mul", true]]);
    expect(Object.keys(calls[0]!.inputs)).toEqual(["a", "b"]);
    const [values] = maxAlong(w, { dim: 0 });
    expect(calls[1]!.output).toBe(values);
  });

  test("backward() goes to the recorder, and says what is missing without one", () => {
    const x = tensor([1]);
    expect(() => x.backward()).toThrow('backward: nothing was recorded. Import "@gpugrad/autograd" before computing.');
    const { backward } = recording();
    x.backward({ retainGraph: true });
    x.backward();
    expect(backward.mock.calls).toEqual([[x, { retainGraph: true }], [x, {}]]); // prettier-ignore
    expect(x.detach().storage).toBe(x.storage);
  });
});

describe("memory", () => {
  test("is shared by reference, and can't be held again after it was given back", () => {
    const x = tensor([1]);
    expect(x.storage.shared).toBe(false);
    const y = x.alias();
    expect(x.storage.shared).toBe(true);
    x.dispose();
    expect(y.storage.shared).toBe(false);
    const { storage } = y;
    y.dispose();
    expect(() => storage.retain()).toThrow("the memory of a tensor made by user was given back already");
    expect(new Storage(8).release()).toBe(true);
  });

  test("of tensors that the garbage collector finds goes back, and is counted", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const settle = async (until: () => boolean, rounds: number): Promise<void> => {
      for (let i = 0; i < rounds && !until(); i++) {
        collect();
        await pause(20);
      }
    };
    await settle(() => false, 5); // what other tests have left
    const counted = leaks.count;
    const all = undisposed();
    (() => void add(tensor([1]), 1))();
    const [x, y] = [tensor([5]), tensor([6])];
    x.dispose(); // disposed: no leak
    await settle(() => leaks.count >= counted + 2, 50);
    expect(leaks.count).toBe(counted + 2);
    expect(["add", "user"]).toContain(leaks.lastOp);
    expect(undisposed()).toBe(all + 3);
    y.dispose();
  });

  test("bytes of another number than the shape has are refused", () => {
    for (const [bytes, dtype, needed] of [
      [4, "f32", 8],
      [8, "f16", 4],
    ] as const)
      // prettier-ignore
      expect(() => fromBytes(new Uint8Array(bytes), [2], dtype)).toThrow(
        `fromBytes: ${bytes} bytes don't fill [2] of ${dtype} (${needed} bytes).`,
      );
    expect(() => fromArray([1, 2, 3], [2])).toThrow("fromArray: 3 values don't fill the shape [2] (2 elements)");
    expect(scope(() => tensor([]).shape)).toEqual([0]);
  });
});
