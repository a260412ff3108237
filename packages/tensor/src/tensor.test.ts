import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { add, destroy, device, fromArray, fromBytes, init, keep, memory, undisposed, mul, scope, softmax, tanh, tensor, zeros, type Tensor } from "./index.ts"; // prettier-ignore

beforeAll(async () => void (await init()));
afterAll(destroy);

describe("making and reading", () => {
  test("nested arrays in and out", async () => {
    const x = tensor([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
    expect(x.shape).toEqual([2, 3]);
    expect(await x.toArray()).toEqual([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
    expect(await tensor(7).item()).toBe(7);
    expect(await tensor([true, false]).toArray()).toEqual([true, false]);
    expect(tensor([]).shape).toEqual([0]);
  });

  test("shown in full when small, shortened when long, with where it comes from", async () => {
    expect(await tensor([[1, -2.5], [1e-6, 3e7]]).format()).toBe("[[1.0000, -2.5000],\n [1.000e-6, 3.000e+7]]"); // prettier-ignore
    expect(await fromArray(Int32Array.from({ length: 20 }, (_, i) => i), [20], "i32").format()).toBe("[0, 1, 2, …, 17, 18, 19]"); // prettier-ignore
    expect(String(softmax(tensor([1, 2])))).toBe("Tensor([2] f32, softmax)");
  });

  test("errors name the place and the numbers", async () => {
    expect(() => tensor([[1, 2], [3]])).toThrow(/ragged arrays: \[1\] has 1 entries, the first of its kind 2/);
    expect(() => fromArray([1, 2, 3], [2, 2])).toThrow(/3 values don't fill the shape \[2,2\] \(4 elements\)/);
    await expect(tensor([1, 2]).item()).rejects.toThrow(/the tensor has 2 elements \(\[2\]\)/);
    expect(() => tensor([1, 2]).write([1])).toThrow(/1 values for 2 elements/);
  });

  test("bytes go in and out unchanged, in sixteen bits too, an odd count of them", async () => {
    const bytes = Uint8Array.of(0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00); // 1, −2, 2⁻²⁴
    const x = fromBytes(bytes, [3], "f16");
    expect(await x.bytes()).toEqual(bytes);
    expect(await x.data()).toEqual(Float32Array.of(1, -2, 2 ** -24));
  });

  test("an upload does not overtake work that was recorded before it", async () => {
    const x = tensor([1, 2]);
    const y = add(x, mul(x, 9));
    x.write([5, 6]);
    expect(await y.data()).toEqual(Float32Array.of(10, 20));
    expect(await add(x, x).data()).toEqual(Float32Array.of(10, 12));
  });

  test("a tensor that no kernel could bind is refused with the numbers", () => {
    const limit = device().gpu.limits.maxStorageBufferBindingSize;
    expect(() => zeros([limit / 4 + 1])).toThrow(
      new RegExp(`${limit + 4} bytes are more .*maxStorageBufferBindingSize ${limit}`),
    );
  });
});

describe("lifetimes", () => {
  test("a scope gives back all but what it returns and what is kept, when it throws too", () => {
    const before = undisposed();
    let kept: Tensor | undefined;
    const { result } = scope(() => {
      const a = tensor([1]);
      kept = keep(add(a, a));
      return { result: mul(a, a) };
    });
    expect(undisposed()).toBe(before + 2);
    expect(() =>
      scope(() => {
        tensor([1]);
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(undisposed()).toBe(before + 2);
    scope(() => void scope(() => tensor([1]))); // what the inner one returns belongs to the outer one
    expect(undisposed()).toBe(before + 2);
    result.dispose();
    kept!.dispose();
    expect(undisposed()).toBe(before);
  });

  test("an asynchronous scope, and two that cross", async () => {
    const before = undisposed();
    const value = await scope(async () => (await tensor([3]).data())[0]);
    expect([value, undisposed()]).toEqual([3, before]);
    let release = (): void => undefined;
    const outer = scope(() => new Promise<void>((resolve) => (release = resolve)));
    let releaseInner = (): void => undefined;
    const inner = scope(() => new Promise<void>((resolve) => (releaseInner = resolve)));
    release();
    await expect(outer).rejects.toThrow(/began later is still open/);
    releaseInner();
    await inner;
  });

  test("`using`, sharing by reshape, use after dispose, double dispose", () => {
    const before = undisposed();
    {
      using x = tensor([1, 2]);
      expect(x.disposed).toBe(false);
    }
    const x = tensor([[1, 2]]);
    const y = x.reshape([2]);
    x.dispose();
    expect(undisposed()).toBe(before + 1);
    expect(() => x.size && mul(x, 2)).toThrow(/a tensor \[1,2\] made by user is used after it was disposed/);
    expect(() => x.dispose()).toThrow(/made by user is disposed a second time/);
    expect(y.disposed).toBe(false);
    y.dispose();
    expect(undisposed()).toBe(before);
  });

  test("large uploads take buffers that were given back", () => {
    const values = new Float32Array(2 ** 20);
    fromArray(values, [2 ** 20]).dispose();
    const { allocatedBytes } = device().pool;
    for (let i = 0; i < 3; i++) fromArray(values, [2 ** 20]).dispose();
    expect(device().pool.allocatedBytes).toBe(allocatedBytes);
  });

  test("a gradient that is returned from a scope outlives its leaf", async () => {
    const g = scope(() => {
      const x = tensor([1]);
      x.grad = tensor([5]);
      return x.grad;
    });
    expect(await g.item()).toBe(5);
    g.dispose();
  });

  test("memory() says what lives, by op", () => {
    const y = tanh(zeros([100, 100]));
    expect(memory().byOp["tanh"]).toEqual({ storages: 1, bytes: 40_960 }); // 40,000 rounded up as the pool does
    y.dispose();
    expect(memory().byOp["tanh"]).toBeUndefined();
  });

  test("the same step gets the same buffers again, whatever the order in which they were given back", () => {
    const step = (): number[] =>
      scope(() => {
        const [a, b, c] = [zeros([1000]), zeros([1000]), zeros([1000])];
        b.dispose(); // out of order
        return [a, b, c, zeros([1000])].map((t) => (t === b ? 0 : t.buffer.id));
      });
    expect(step()).toEqual(step());
  });
});
