import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  add,
  defineOp,
  destroy,
  device,
  empty,
  fill,
  fromBytes,
  init,
  kernel,
  mul,
  notDifferentiable,
  profile,
  record,
  run,
  scope,
  ShaderError,
  softmax,
  specialize,
  tensor,
  type Tensor,
  zeros,
} from "../index.ts";
import { constantOf } from "./kernel.ts";
import { totalsOf } from "./timestamps.ts";

beforeEach(async () => void (await init()));
afterEach(destroy);

/** A kernel that adds `step` to each element, with `body` in place of the last line. */
const source = (body = "x[i] += params.step;"): string => `
override LANES: u32 = 64;
const SCALE = 1u; // @group(0) @binding(7) var<storage> inAComment: array<f32>;
alias T = f32;
struct Params { count: u32, step: f32, offset: vec2u, table: array<vec4f, 2> }
@group(0) @binding(0) var<storage, read_write> x: array<T>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * LANES;
  if (i >= params.count) { return; }
  ${body}
}`;

const params = { count: 2, step: 3, offset: [0, 0], table: [0, 0, 0, 0, 0, 0, 0, 0] };

describe("a kernel's own declarations", () => {
  const parsed = kernel("test/add.wgsl", source());

  test("bindings, fields at WGSL's offsets, overrides", () => {
    expect(parsed.bindings.map((b) => `${b.index} ${b.name} ${b.kind}`)).toEqual(["0 x storage", "1 params uniform"]);
    expect(parsed.params.map((f) => [f.name, f.offset, f.count])).toEqual([["count", 0, 1], ["step", 4, 1], ["offset", 8, 2], ["table", 16, 8]]); // prettier-ignore
    expect(parsed.paramsBytes).toBe(48);
    expect(parsed.constants.get("LANES")).toBe(64);
  });

  test("it runs by those names, at another size of workgroup too", async () => {
    const x = tensor([1, 2]);
    run(parsed, { x }, params, { threads: 2 });
    run(parsed, { x }, params, { threads: 2, overrides: { LANES: 1 } });
    expect(await x.data()).toEqual(Float32Array.of(7, 8));
  });

  test("a name too few or too many is an error", () => {
    const x = tensor([1, 2]);
    expect(() => run(parsed, {}, params, { threads: 2 })).toThrow(/test\/add.wgsl: no tensor given for binding x/);
    expect(() => run(parsed, { x, y: x }, params, { threads: 2 })).toThrow(
      "test/add.wgsl: there is no binding y; there are x.",
    );
    expect(() => run(parsed, { x }, { ...params, step: [1, 2] }, { threads: 2 })).toThrow("Params.step is [1, 2]; it takes a number."); // prettier-ignore
    const { step: _, ...without } = params;
    expect(() => run(parsed, { x }, without as never, { threads: 2 })).toThrow("Params.step is missing; it takes a number."); // prettier-ignore
    expect(() => run(parsed, { x }, { ...params, stop: 1 }, { threads: 2 })).toThrow(
      "Params has no field stop. Did you mean step?",
    );
  });

  test("what is neither a tensor, a number nor a launch is refused by name, and the device stays usable", async () => {
    const x = tensor([1, 2]);
    const call = (tensors: unknown, given: unknown, launch?: unknown) => () => run(parsed, tensors as never, given as never, launch as never); // prettier-ignore
    expect(call({ x: [1, 2] }, params, { threads: 2 })).toThrow("test/add.wgsl: binding x is given [1, 2], not a tensor.");
    expect(call({ x }, { ...params, count: NaN }, { threads: 2 })).toThrow("Params.count is NaN; it takes a number for u32.");
    expect(call({ x }, { ...params, count: "2" }, { threads: 2 })).toThrow('Params.count is "2"; it takes a number for u32.');
    for (const launch of [undefined, 2, { thread: 2 }, { threads: NaN }, { threads: -1 }, { workgroups: [1] }, { threads: 1, workgroups: 1 }])
      expect(call({ x }, params, launch)).toThrow(/^test\/add.wgsl: the launch is .* It is \{ threads: n \}, or \{ workgroups: n \}/);
    expect(() => kernel("test/a.wgsl", undefined as never)).toThrow("kernel: code is missing; it has to be a string.");
    const elsewhere = source().replace("@group(0) @binding(0)", "@group(1) @binding(0)");
    expect(() => kernel("test/a.wgsl", elsewhere)).toThrow("test/a.wgsl: 2 bindings are declared, but 1 can be read.");
    expect(() => kernel("test/a.wgsl", source().replaceAll("Params", "Sizes"))).toThrow("test/a.wgsl: 1 uniforms, of which none is a struct Params");
    expect(await x.toArray()).toEqual([1, 2]);
  }); // prettier-ignore

  test("what an op is made of, and what its forward gives, is checked", () => {
    const op = (definition: unknown) => defineOp("twist", definition as never) as (x: Tensor) => Tensor;
    expect(() => op({ forward: () => 1 })).toThrow("defineOp: backward of twist is undefined; it is a function");
    expect(() => op({ forward: 1, backward: () => ({}) })).toThrow("defineOp: forward is 1, not a function.");
    expect(() => op({ forward: () => 1, backward: 1 })).toThrow("defineOp: backward of twist is 1; it is a function");
    expect(() => op({ forward: (x: Tensor) => x.clone(), backward: () => ({}) })(tensor([1]))).toThrow(
      "twist: forward gives { output, inputs, saved }",
    );
  });

  test("a tensor of another dtype than the kernel declares is refused; u32 takes any bits", async () => {
    const x = tensor([1, 2], "i32");
    expect(() => run(parsed, { x }, params, { threads: 2 })).toThrow(
      'test/add.wgsl: x is given Tensor([2] i32, user), but the kernel reads array<f32>. Use to("f32")',
    );
    expect(() => run(specialize(parsed, { T: "i32" }), { x: tensor([1]) }, params, { threads: 2 })).toThrow(
      "reads array<i32>",
    );
    const elements = ["array<vec4f>", "array<vec2<i32>, 8>", "array<u32>", "array<atomic<u32>>", "array<f16>", "Own"];
    const declared = elements.map((type, i) => `@group(0) @binding(${i}) var<storage> b${i} : ${type};`).join("\n");
    const { bindings } = kernel("test/types.wgsl", `${declared}\n@compute @workgroup_size(1) fn main() {}`);
    expect(bindings.map(({ element }) => element)).toEqual(["f32", "i32", "u32", undefined, undefined, undefined]);
    const bits = kernel("test/bits.wgsl", source("x[i] = 7u;").replace("alias T = f32", "alias T = u32"));
    const y = tensor([1, 2]);
    run(bits, { x: y }, params, { threads: 2 });
    expect(Array.from(new Uint32Array((await y.bytes()).slice().buffer))).toEqual([7, 7]);
  });

  test("specialize replaces by name, and refuses a name that is not declared", () => {
    expect(specialize(parsed, { SCALE: 4 }).code).toContain("const SCALE = 4u;");
    expect(specialize(parsed, { T: "i32" }).code).toContain("alias T = i32;");
    expect(() => specialize(parsed, { TILE: 4 })).toThrow(/no const or alias TILE/);
  });

  test("more than eight storage buffers are refused when the kernel is read", () => {
    const nine = Array.from({ length: 9 }, (_, i) => `@group(0) @binding(${i}) var<storage> b${i}: array<f32>;`).join(
      "\n",
    );
    expect(() => kernel("test/nine.wgsl", nine)).toThrow(/9 storage buffers, but WebGPU promises 8/);
  });
});

test("a kernel's functions have names: those of its constants", () => {
  const named = kernel("test/named.wgsl", `const GELU_TANH = 14u;\nconst HALF = 0.5;\n${source()}`);
  expect(constantOf(named, "gelu_tanh")).toBe(14);
  expect(() => constantOf(named, "gelu")).toThrow("test/named.wgsl: no const GELU with a whole number.");
  expect(() => constantOf(named, "half")).toThrow("no const HALF");
});

test("70,000 workgroups are folded into two dimensions, and each element is met once", async () => {
  const x = zeros([70_000]);
  run(
    kernel("test/add.wgsl", source()),
    { x },
    { ...params, count: 70_000 },
    { threads: 70_000, overrides: { LANES: 1 } },
  );
  expect((await x.data()).every((v) => v === 3)).toBe(true);
});

test("an upload submits the batch under way only if that uses the buffer", async () => {
  const [x, other] = [tensor([1, 2]), tensor([3])];
  const { queue } = device();
  const y = add(x, 1);
  const { batch } = queue;
  other.write([4]);
  expect(queue.batch).toBe(batch);
  x.write([5, 6]);
  expect(queue.batch).toBe(batch + 1);
  expect([await y.toArray(), await other.toArray(), await x.toArray()]).toEqual([[2, 3], [4], [5, 6]]);
});

test("an upload of bytes that are no whole words stays within a buffer that they fill", async () => {
  const bytes = Uint8Array.from({ length: 4094 }, (_, i) => (i % 2 === 0 ? i % 251 : 0x3c));
  const x = fromBytes(bytes, [2047], "f16");
  expect(x.buffer.bytes).toBe(4096);
  expect(await x.bytes()).toEqual(bytes);
});

describe("what goes wrong on the device becomes an exception", () => {
  test("a kernel that does not compile: file, line and source", async () => {
    const x = tensor([1, 2]);
    run(kernel("test/bad.wgsl", source("x[i] = params.stop;")), { x }, params, { threads: 2 });
    await expect(x.data()).rejects.toThrow(/test\/bad.wgsl:12:\d+ .*stop[\s\S]*x\[i\] = params.stop;/);
  });

  const bad = kernel("test/bad.wgsl", source("x[i] = params.stop;"));
  const good = kernel("test/add.wgsl", source());

  test("a kernel that does not compile: only what is made of its result is lost", async () => {
    const kept = tensor([1, 2]);
    const before = add(kept, 1); // in the same batch
    const broken = scope(() => {
      const x = tensor([5, 6]);
      run(bad, { x }, params, { threads: 2 });
      return x;
    });
    const after = add(kept, 2);
    const derived = add(mul(broken, 2), kept);
    await expect(derived.data()).rejects.toThrow(ShaderError);
    await expect(broken.data()).rejects.toThrow("test/bad.wgsl: the kernel does not compile");
    expect(await kept.toArray()).toEqual([1, 2]);
    expect(await before.toArray()).toEqual([2, 3]);
    expect(await after.toArray()).toEqual([3, 4]);
    expect(device().failed).toBe(false);
    // Known by now, it is refused where it is called.
    expect(() => run(bad, { x: kept }, params, { threads: 2 })).toThrow("test/bad.wgsl: the kernel does not compile");
    run(good, { x: kept }, params, { threads: 2 });
    expect(await kept.toArray()).toEqual([4, 5]);
    broken.write([7, 8]); // has values again
    expect(await broken.toArray()).toEqual([7, 8]);
    fill(broken, 3);
    expect(await broken.toArray()).toEqual([3, 3]);
  });

  test("the error names the op that used the kernel", async () => {
    const twist = defineOp("twist", {
      forward: (x: Tensor) => {
        const y = empty(x.shape);
        run(bad, { x: y }, params, { threads: 2 });
        return { output: y, inputs: {}, saved: {} };
      },
      backward: notDifferentiable("it is a test"),
    });
    await expect(twist(tensor([1, 2])).data()).rejects.toThrow("twist: test/bad.wgsl: the kernel does not compile");
    expect(() => twist(tensor([1, 2]))).toThrow("twist: test/bad.wgsl: the kernel does not compile");
  });

  test("finish() throws once for a kernel whose result nobody reads; init() keeps the device", async () => {
    const x = tensor([1, 2]);
    run(bad, { x }, params, { threads: 2 });
    const home = device();
    await expect(home.finish()).rejects.toThrow("test/bad.wgsl");
    await home.finish();
    expect(await init()).toBe(home);
    expect(await tensor([3]).item()).toBe(3);
  });

  test("what is invalid beside a kernel that compiles, at its first dispatch, is the device's failure", async () => {
    const x = tensor([1, 2]);
    const home = device();
    await home.finish();
    x.buffer.gpu.destroy();
    run(kernel("test/fresh.wgsl", source("x[i] -= params.step;")), { x }, params, { threads: 2 });
    await home.finish().catch(() => undefined);
    expect(() => home.throwIfFailed()).toThrow(/destroyed/);
  });

  test("in recorded work: replays do the rest of it", async () => {
    const [x, y] = [tensor([1, 2]), tensor([1, 2])];
    const { recording } = record(() => {
      run(bad, { x: y }, params, { threads: 2 });
      run(good, { x }, params, { threads: 2 });
    });
    expect(await x.toArray()).toEqual([4, 5]);
    recording.replay();
    expect(await x.toArray()).toEqual([7, 8]);
    await expect(y.data()).rejects.toThrow("test/bad.wgsl");
    recording.dispose();
  });

  test("an override that is no number is refused at the call", () => {
    const launch = { threads: 2, overrides: { LANES: NaN } };
    expect(() => run(good, { x: tensor([1, 2]) }, params, launch)).toThrow("test/add.wgsl: @workgroup_size(LANES)");
  });

  test("overrides that the adapter can't take", async () => {
    const x = tensor([1, 2]);
    run(kernel("test/wide.wgsl", source()), { x }, params, { threads: 2, overrides: { LANES: 1 << 20 } });
    await expect(x.data()).rejects.toThrow(
      /test\/wide.wgsl: the kernel does not compile \(overrides {"LANES":1048576}\)/,
    );
  });

  test("a tensor that is read and written by one dispatch, by its names, before it is recorded", () => {
    const x = tensor([1, 2]);
    const code = source().replace("@compute", "@group(0) @binding(2) var<storage> y: array<f32>;\n@compute");
    expect(() => run(kernel("test/twice.wgsl", code), { x, y: x }, params, { threads: 2 })).toThrow(
      /test\/twice.wgsl: x is written, so it can't share the memory of y/,
    );
  });

  test("a lost device, and a new one after it", async () => {
    const x = tensor([1, 2]);
    device().gpu.destroy(); // as a driver's reset would
    await expect(x.data()).rejects.toThrow(/lost|destroyed/);
    await init(); // another one
    expect(await tensor([3]).item()).toBe(3);
    expect(() => softmax(x)).toThrow(/x is Tensor\(\[2\] f32, user\) of a device that was destroyed/);
    expect(await tensor([4]).item()).toBe(4); // which does the new one no harm
  });

  test("waiting for a device that is lost fails, whatever the driver does", async () => {
    const { gpu } = device();
    const never = vi.spyOn(gpu.queue, "onSubmittedWorkDone").mockReturnValue(new Promise(() => undefined));
    const finished = device().finish();
    gpu.destroy();
    await expect(finished).rejects.toThrow("the GPU device was lost");
    never.mockRestore();
  });

  test("a device that was given back was not lost", async () => {
    const home = device();
    await destroy();
    await home.gpu.lost;
    expect([home.gone, home.failed]).toEqual([true, false]);
    expect(() => home.throwIfFailed()).toThrow("the device was destroyed. Call init() for a new one.");
  });

  test("after a loss several callers of init() get one device, with the limit of the one before", async () => {
    await destroy();
    await init({ memoryLimit: 2 ** 30 });
    const lost = device();
    lost.gpu.destroy();
    await expect(tensor([1]).data()).rejects.toThrow(/lost|destroyed/);
    const [a, b, c] = await Promise.all([init(), init(), init({})]);
    expect([a === b, b === c, a === device(), a === lost]).toEqual([true, true, true, false]);
    expect(a.memoryLimit).toBe(2 ** 30);
    expect(await tensor([3]).item()).toBe(3);
    await destroy();
    expect((await init()).memoryLimit).toBe(Infinity); // a device that was given back leaves nothing
    await expect((async () => (await destroy(), await init({ memoryLimit: NaN })))()).rejects.toThrow(
      "memoryLimit is NaN",
    );
    await init();
  });

  test("no device at all", async () => {
    await destroy();
    expect(() => tensor([1])).toThrow(/await init\(\)/);
  });
});

test("profile() returns the device time of each kernel", async () => {
  const times = await profile(() => scope(() => void softmax(softmax(empty([64, 64])))));
  const [time] = times;
  expect(time!.kernel).toMatch(/^ops\/softmax\/softmax/);
  expect(time!.dispatches).toBe(2);
  expect(time!.ms).toBeGreaterThanOrEqual(0);
});

test("a kernel's time is the sum of its dispatches' from begin to end, longest first", () => {
  const dispatch = (kernel: string, begin: number, end: number) => ({ kernel, begin, end, bytes: 0, flops: undefined });
  const dispatches = [dispatch("short", 10, 11), dispatch("long", 11, 15), dispatch("short", 20, 22)];
  expect(totalsOf(dispatches)).toEqual([
    { kernel: "long", dispatches: 1, ms: 4 },
    { kernel: "short", dispatches: 2, ms: 3 },
  ]);
});
