import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inspect } from "node:util";
import { add, concat, destroy, fill, full, reshape, device, fromArray, fromBytes, init, keep, memory, memoryByOwner, undisposed, mul, scope, softmax, tanh, tensor, zeros, type Tensor } from "./index.ts"; // prettier-ignore

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
    expect(() => tensor([1, [2]])).toThrow(/ragged arrays: \[1\] has 1 entries, the first of its kind none/);
    expect(() => tensor([[1, 2], 3])).toThrow(/ragged arrays: there is a number at \[1\], where an array was expected/);
    expect(() => fromArray([1, 2, 3], [2, 2])).toThrow(/3 values don't fill the shape \[2,2\] \(4 elements\)/);
    await expect(tensor([1, 2]).item()).rejects.toThrow(/the tensor has 2 elements \(\[2\]\)/);
    expect(() => tensor([1, 2]).write([1])).toThrow(/1 values for 2 elements/);
  });

  test("bytes go in and out unchanged, in sixteen bits too, an odd count of them", async () => {
    const bytes = Uint8Array.of(0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00); // 1, −2, 2⁻²⁴
    const x = fromBytes(bytes, [3], "f16");
    expect(await x.bytes()).toEqual(bytes);
    expect(await x.data()).toEqual(Float32Array.of(1, -2, 2 ** -24));
    expect(() => fromBytes(bytes, [2], "f16")).toThrow("fromBytes: 6 bytes don't fill [2] of f16 (4 bytes).");
    expect(() => fromBytes(bytes, [2], "f32")).toThrow("fromBytes: 6 bytes don't fill [2] of f32 (8 bytes).");
  });

  test("sixteen-bit elements are written one by one, their neighbours stay", async () => {
    const bits = (...halves: number[]): Uint8Array => new Uint8Array(Uint16Array.from(halves).buffer);
    for (const dtype of ["f16", "bf16"] as const) {
      const [one, two] = dtype === "f16" ? [0x3c00, 0x4000] : [0x3f80, 0x4000];
      const write = async (offset: number, ...halves: number[]): Promise<number[]> => {
        const x = tensor([3, 4, 5, 6, 7], dtype);
        x.writeBytes(bits(...halves), offset);
        return Array.from(await x.data());
      };
      expect(await write(0, one)).toEqual([1, 4, 5, 6, 7]);
      expect(await write(2, one)).toEqual([3, 1, 5, 6, 7]);
      expect(await write(8, one)).toEqual([3, 4, 5, 6, 1]);
      expect(await write(2, one, two)).toEqual([3, 1, 2, 6, 7]);
      expect(await write(2, one, two, one)).toEqual([3, 1, 2, 1, 7]);
      expect(await write(4, one, two, one)).toEqual([3, 4, 1, 2, 1]);
      expect(await write(0, one, two, one, two, one)).toEqual([1, 2, 1, 2, 1]);
      expect(await write(4)).toEqual([3, 4, 5, 6, 7]);
      for (const [offset, count] of [[1, 2], [2, 3], [10, 2], [-2, 2], [0.5, 2]] as const) {
        expect(() => tensor([3, 4, 5, 6, 7], dtype).writeBytes(new Uint8Array(count), offset)).toThrow(/writeBytes: \d bytes at .* don't fit the 10/);
      } // prettier-ignore
    }
  });

  test("typed arrays, and numbers that don't fit", async () => {
    const x = tensor(Int32Array.of(1, -2));
    expect([x.dtype, x.shape, await x.toArray()]).toEqual(["i32", [2], [1, -2]]);
    expect(tensor(Uint32Array.of(1)).dtype).toBe("u32");
    expect(tensor([Float64Array.of(1, 2), Float64Array.of(3, 4)]).shape).toEqual([2, 2]);
    expect(await tensor([1.9, -1.9], "i32").toArray()).toEqual([1, -1]); // the fraction is cut off, as in PyTorch
    expect(await tensor([2 ** 31 - 1, -(2 ** 31)], "i32").toArray()).toEqual([2 ** 31 - 1, -(2 ** 31)]);
    expect(await tensor([2 ** 32 - 1, 0], "u32").toArray()).toEqual([2 ** 32 - 1, 0]);
    expect(await tensor([NaN, 0.5, 0, -0], "bool").toArray()).toEqual([true, true, false, false]);
    const beyond = "does not fit i32, which holds whole numbers from -2147483648 to 2147483647";
    for (const value of [2 ** 31, -(2 ** 31) - 1, NaN, Infinity]) {
      expect(() => tensor([value], "i32")).toThrow(`tensor: ${value} ${beyond}`);
      expect(() => fromArray([value], [1], "i32")).toThrow(`fromArray: ${value} ${beyond}`);
      expect(() => zeros([1], { dtype: "i32" }).write([value])).toThrow(`write: ${value} ${beyond}`);
      expect(() => full([1], value, { dtype: "i32" })).toThrow(`full: ${value} ${beyond}`);
      expect(() => fill(zeros([1], { dtype: "i32" }), value)).toThrow(`fill: ${value} ${beyond}`);
    }
    expect(() => add(tensor([1], "i32"), 3e9)).toThrow(`add: 3000000000 ${beyond}`);
    expect(() => tensor([-1], "u32")).toThrow("tensor: -1 does not fit u32");
    expect(() => fromArray(["1" as never], [1])).toThrow('fromArray: element 0 is "1", not a number.');
    expect(() => reshape(zeros([0, 4]), [-1, 0])).toThrow("beside a size of 0 the one that is -1 could be any");
  });

  test("an op widens tensors of sixteen bits beside other arguments, and disposes what it widened", async () => {
    const half = tensor([1, 2, 3], "bf16");
    const before = undisposed();
    const y = softmax(half, { dim: 0 });
    const joined = concat([tensor([0.5]), half]);
    expect(undisposed()).toBe(before + 3); // y, joined and the tensor that was made for it
    expect([y.dtype, joined.dtype]).toEqual(["f32", "f32"]);
    const want = [0.0900306, 0.2447285, 0.665241];
    (await y.data()).forEach((v, i) => expect(v).toBeCloseTo(want[i]!, 6));
    expect(await joined.toArray()).toEqual([0.5, 1, 2, 3]);
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

  test("a scope with a gradient that is older or younger than its leaf", () => {
    const before = undisposed();
    scope(() => {
      const gradient = zeros([2]);
      const leaf = zeros([2]).requireGrad();
      leaf.grad = gradient;
    });
    scope(() => {
      const leaf = zeros([2]).requireGrad();
      leaf.grad = zeros([2]);
    });
    expect(undisposed()).toBe(before);
  });

  test("asynchronous scopes at the same time have each their own tensors", async () => {
    const before = undisposed();
    const value = await scope(async () => (await tensor([3]).data())[0]);
    expect([value, undisposed()]).toEqual([3, before]);
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    const w = tensor([1, 2, 3]);
    // A loop in a scope, something else without one, and scopes that end in another order than they began.
    const loop = scope(async () => {
      for (let i = 0; i < 3; i++) await mul(w, w).data();
    });
    const handler = (async () => {
      const y = mul(w, 2);
      await pause(40);
      return y;
    })();
    const work = (ms: number) =>
      scope(async () => {
        const a = mul(w, 3);
        await pause(ms);
        return add(a, await scope(async () => (await pause(1), mul(w, 0))));
      });
    const [, y, slow, fast] = await Promise.all([loop, handler, work(20), work(2)]);
    expect([await y.toArray(), await slow.toArray(), await fast.toArray()]).toEqual([[2, 4, 6], [3, 6, 9], [3, 6, 9]]); // prettier-ignore
    for (const t of [w, y, slow, fast]) t.dispose();
    expect(undisposed()).toBe(before);
  });

  test("what outlives the scope in which it was begun is in the scope around that one", async () => {
    const before = undisposed();
    let late: Promise<Tensor> | undefined;
    await scope(async () => {
      scope(() => void (late = Promise.resolve().then(() => tensor([1]))));
      await late;
    });
    expect((await late!).disposed).toBe(true);
    expect(undisposed()).toBe(before);
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

  test("a leaf's gradient from outside the scope is disposed with the leaf", () => {
    const gradient = tensor([5]);
    scope(() => {
      tensor([1]).requireGrad().grad = gradient;
    });
    expect(gradient.disposed).toBe(true);
  });

  test("a scope keeps the tensors in a map that it returns", async () => {
    const before = undisposed();
    const named = scope(() => new Map([["x", add(tensor([1]), 2)]]));
    expect(undisposed()).toBe(before + 1);
    expect(await named.get("x")!.item()).toBe(3);
    named.get("x")!.dispose();
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

  test("memoryByOwner() says what it is kept for: by name, else for a tape's backward, else nothing special", () => {
    const bytes = (): unknown[] =>
      ["inputs", "saved for backward", "other tensors"].map((owner) => memoryByOwner()[owner]?.byOp["tanh"]);
    const y = tanh(zeros([100, 100]));
    expect(bytes()).toEqual([undefined, undefined, 40_960]);
    y.storage.saves++; // as a tape does
    expect(bytes()).toEqual([undefined, 40_960, undefined]);
    keep(y, "inputs");
    expect(bytes()).toEqual([40_960, undefined, undefined]);
    y.dispose();
    expect(bytes()).toEqual([undefined, undefined, undefined]);
  });

  test("an op has its name, as errors and profiles say it", () => {
    expect([softmax.opName, tanh.opName]).toEqual(["softmax", "tanh"]);
  });

  test("memoryByOwner() lists an owner's ops from the one with most bytes", () => {
    const tensors = [zeros([10]), tanh(zeros([100, 100])), softmax(zeros([50, 50]), { dim: 1 })];
    for (const tensor of tensors) keep(tensor, "inputs");
    expect(Object.keys(memoryByOwner()["inputs"]!.byOp)).toEqual(["tanh", "softmax", "full"]);
    for (const tensor of tensors) tensor.dispose();
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

  test("booleans are shown as words; an element that is no number, or lies too deep, is named by its place", async () => {
    expect(await tensor([true, false]).format()).toBe("[true, false]");
    expect(inspect(tensor([1]))).toBe("Tensor([1] f32, user)");
    const nested = (values: unknown) => () => tensor(values as number[]);
    expect(nested("text")).toThrow('tensor: the value is "text", not a number');
    expect(nested([[1], "a"])).toThrow('tensor: [1] is "a", not a number');
    expect(nested([[1, 2], [3]])).toThrow("tensor: ragged arrays: [1] has 1 entries, the first of its kind 2");
    expect(nested([1, [2]])).toThrow("tensor: ragged arrays: [1] has 1 entries, the first of its kind none");
    expect(nested([[1], 2])).toThrow("tensor: ragged arrays: there is a number at [1], where an array was expected");
    expect(nested(new DataView(new ArrayBuffer(4)))).toThrow("tensor: the value is a DataView, not a number");
    expect([tensor([1n as unknown as number]).dtype, await tensor([5n as unknown as number]).item()]).toEqual([
      "f32",
      5,
    ]);
    await expect(tensor([1, 2]).item()).rejects.toThrow("item: the tensor has 2 elements ([2]); data() gives them all");
    expect(() => tensor([1]).write([1, 2])).toThrow("write: 2 values for 1 elements ([1])");
  });
});
