import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as gpugrad from "./index.ts";
import { checkOptions, destroy, fromArray, GpugradError, init, tensor, undisposed, type Tensor } from "./index.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** The exports as plain JavaScript sees them. */
const untyped = gpugrad as unknown as Record<string, (...args: unknown[]) => unknown>;

/** Functions that take nothing, or only what a program can't get wrong without a type error of its own. */
const plain = new Set(["computeType", "destroy", "device", "memory", "memoryByOwner", "resetPeakMemory", "undisposed"]);
/** For those who write ops: called with what they have checked. */
const seams = new Set(
  "adapterKey argumentCheck atEachReplay bf16Bits bf16Value broadcastShapes check checked checkOptions didYouMean f16Bits f16Value isOrigin"
    .split(" ")
    .concat(
      "live notDifferentiable philox resolveDim sameShape showShape showValue sizeOf uniformFloat visible watchNumerics".split(
        " ",
      ),
    )
    .concat("defineOp kernel run specialize".split(" ")),
);

test("a value in a message is short, however deep or long it is", () => {
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep, deep];
  expect(gpugrad.showValue(deep)).toBe("[[[…], […]], [[…], […]]]");
  expect(gpugrad.showValue(Array.from({ length: 9 }, (_, i) => i))).toBe("[0, 1, 2, 3, 4, 5, …]");
});

describe("plain JavaScript", () => {
  const functions = Object.entries(untyped).filter(
    ([name, value]) => typeof value === "function" && /^[a-z]/.test(name) && !plain.has(name) && !seams.has(name),
  );

  test.each(functions)("%s refuses an argument of another kind, and says its own name", async (name, f) => {
    const before = undisposed();
    for (const wrong of [{ wrong: 1 }, Symbol("wrong"), () => 1]) {
      let error: unknown;
      try {
        await f(wrong, wrong, wrong, wrong);
      } catch (thrown) {
        error = thrown;
      }
      if (
        typeof wrong === "function" &&
        ["scope", "autocast", "dryRun", "compileAhead", "record", "profile", "traceDispatches"].includes(name)
      )
        continue;
      expect(error, name).toBeInstanceOf(GpugradError);
      expect((error as Error).message).toMatch(new RegExp(`^(${name}|Generator)\\b`));
    }
    expect(undisposed()).toBe(before);
  });

  const x = (): Tensor => fromArray([1, 2, 3, 4], [2, 2]);
  const cases: [string, () => unknown, string | RegExp][] = [
    ["a dim in place of options", () => untyped["sum"]!(x(), 1), "sum: options is 1, not an object with dim, keepdim. Write { dim: 1 }."],
    ["a list of dims in place of options", () => untyped["amax"]!(x(), [0, 1]), "Write { dim: [0, 1] }."],
    ["an option that does not exist", () => untyped["softmax"]!(x(), { axis: 0 }), "softmax: there is no option axis. Did you mean dim? It takes dim."],
    ["an option in another spelling", () => untyped["mean"]!(x(), { keepDim: true }), "there is no option keepDim. Did you mean keepdim?"],
    ["an option of another kind", () => untyped["cumsum"]!(x(), { dim: "0" }), 'cumsum: dim is "0", not the number of a dimension.'],
    ["a required option left out", () => untyped["cumsum"]!(x()), "cumsum: dim is missing"],
    ["a tensor among the options that is none", () => untyped["crossEntropy"]!(x(), tensor([0, 1], "i32"), { weight: [1, 2] }), "crossEntropy: weight is [1, 2], not a tensor."],
    ["a name that is not known", () => untyped["crossEntropy"]!(x(), tensor([0, 1], "i32"), { reduction: "sums" }), 'reduction "sums" is not known; there are mean, sum, none. Did you mean sum?'],
    ["a tensor that is missing", () => untyped["matmul"]!(x()), "matmul: b is missing; it has to be a tensor."],
    ["an array in place of a tensor", () => untyped["add"]!([1], x()), "add: a is [1], not a tensor or a number."],
    ["null in place of a tensor", () => untyped["linear"]!(x(), x(), null), "linear: bias is null, not a tensor."],
    ["one argument too many", () => untyped["sum"]!(x(), { dim: 0 }, true), "sum: true is one argument too many. It takes x, options."],
    ["sizes one by one in place of a shape", () => untyped["zeros"]!(2, 3), "zeros: shape is 2, not a shape"],
    ["a size that is NaN", () => untyped["rand"]!([2, NaN]), "rand: shape is [2, NaN], not a shape"],
    ["a dtype of another library", () => untyped["zeros"]!([2], { dtype: "torch.int64" }), 'there is no dtype "torch.int64". Did you mean i32?'],
    ["a dtype with a slip", () => untyped["cast"]!(x(), "bf61"), 'cast: there is no dtype "bf61". Did you mean bf16? dtypes are f32, f16, bf16, i32, u32, bool.'],
    ["a number as a tensor's element that is none", () => untyped["tensor"]!([["1"]]), 'tensor: [0][0] is "1", not a number.'],
    ["a generator that is none", () => untyped["rand"]!([2], { generator: 7 }), "rand: generator is 7, not a Generator."],
    ["a name of another library", () => untyped["rand"]!([2], { seed: 1 }), "rand: there is no option seed. Did you mean generator?"],
    ["an option of another library that has no place here", () => untyped["zeros"]!([2], { requires_grad: true }), "zeros: there is no option requires_grad. Call requireGrad() on the result."],
    ["sizes one by one, how they are written", () => untyped["zeros"]!(2, 3), "such as [2, 3]. Write [2, 3]."],
    ["dims one by one, how they are written", () => untyped["permute"]!(x(), 1, 0), "Write [1, 0]."],
    ["an object around an argument", () => untyped["topk"]!(x(), { k: 1 }), "topk: k is { k }, not a whole number. Write 1, without an object around it."],
    ["a number as text", () => untyped["cumsum"]!(x(), { dim: "1" }), "Write 1."],
    ["a number for a flag", () => untyped["sum"]!(x(), { keepdim: 1 }), "sum: keepdim is 1, not true or false. Write true."],
    ["a tensor that is still on its way", () => untyped["relu"]!(Promise.resolve(x())), "relu: x is a Promise, not a tensor. It is a promise: await it first."],
    ["tensors one by one", () => untyped["concat"]!(x(), x()), "Put them into a list: [a, b]."],
    ["an instance of a class for options", () => untyped["sum"]!(x(), new gpugrad.Generator(1)), "sum: options is a Generator, not an object with dim, keepdim."],
    ["a shape where a dtype belongs", () => untyped["tensor"]!([1, 2], [2, 1]), "tensor: dtype is [2, 1], not a dtype: f32, f16, bf16, i32, u32, bool. fromArray(values, shape, dtype)"],
    ["a device for a dtype", () => untyped["cast"]!(x(), "cuda:0"), 'cast: there is no dtype "cuda:0". There is one device for all'],
    ["what an op calls fails under the op's name", () => untyped["nllLoss"]!(x(), tensor([0, 1])), "nllLoss: target is f32; it holds class indices."],
    ["so does a kernel", () => untyped["softmax"]!(tensor([[1, 2]], "i32")), /^softmax: ops\/softmax\/softmax-.*wgsl: x is given Tensor\(\[1,2\] i32, user\), but the kernel reads array<f32>/],
    ["a method under its own name", () => (x() as unknown as { var: (...args: unknown[]) => Tensor }).var(1), "var: options is 1, not an object with dim, keepdim, correction. Write { dim: 1 }."],
    ["operators", () => (x() as unknown as number) * 2, "JavaScript's operators don't compute with tensors"],
    ["operators that make text", () => String(x()) + (x() as unknown as string), "write add(x, y)"],
    ["a tensor made by hand", () => new (gpugrad.Tensor as unknown as new (values: number[]) => Tensor)([1, 2]), "Tensor: tensors are made by tensor([1, 2])"],
    ["a slice that is no list", () => untyped["slice"]!(x(), ["a"]), 'slice: slices[0] is "a", not [start, stop]'],
    ["no bounds", () => untyped["clamp"]!(x()), "clamp: neither min nor max is given."],
    ["a flag of a tensor", () => Object.assign(x(), { requiresGrad: 1 }), "requiresGrad: 1 is not true or false."],
    ["a method", () => (x() as unknown as { permute: (...dims: number[]) => Tensor }).permute(1, 0), "permute: dims is 1, not a list of dimensions"],
    ["a method with options", () => x().backward({ retain_graph: true } as object), "backward: there is no option retain_graph. Did you mean retainGraph?"],
  ]; // prettier-ignore
  test.each(cases)("%s", (_, call, message) => {
    expect(call).toThrow(GpugradError);
    expect(call).toThrow(message);
  });

  test("an op may be what map() calls", async () => {
    const [a, b] = [tensor([-1, 2]), tensor([3, -4])].map(gpugrad.relu);
    expect([await a!.toArray(), await b!.toArray()]).toEqual([[0, 2], [3, 0]].map((row) => Float32Array.from(row)).map((row) => Array.from(row))); // prettier-ignore
  });

  test("options of others can be checked the same way", () => {
    const takes = { lr: "number?", momentum: "number?", params: "any" } as const;
    expect(() => checkOptions("SGD", { lr: 1, params: [] }, takes)).not.toThrow();
    expect(() => checkOptions("SGD", { lR: 1, params: [] }, takes)).toThrow(
      "SGD: there is no option lR. Did you mean lr?",
    );
    expect(() => checkOptions("SGD", { lr: "1", params: [] }, takes)).toThrow('SGD: lr is "1", not a number.');
  });
});

test("each kind of argument takes its own values, and refuses its neighbours'", () => {
  const x = tensor([1]);
  const f = (): number => 1;
  const generator = new gpugrad.Generator(1);
  const kinds: Record<string, [right: unknown[], wrong: unknown[]]> = {
    tensor: [[x], [1, null, [x]]],
    tensors: [
      [[], [x, x]],
      [x, [x, 1]],
    ],
    operand: [
      [x, 1, NaN],
      ["1", null, true],
    ],
    number: [
      [1, NaN, -Infinity],
      ["1", 1n, true, null],
    ],
    "number|null": [
      [1, null],
      ["1", true],
    ],
    "number|boolean": [
      [1, true, false],
      ["1", null],
    ],
    "number|numbers": [
      [1, [], [1, 2]],
      ["1", ["1"], null],
    ],
    numbers: [
      [[], [1, 0.5]],
      [1, [null]],
    ],
    index: [
      [1, -1, 0],
      [0.5, NaN, "1"],
    ],
    size: [
      [1, 7],
      [0, -1, 0.5, NaN, "1"],
    ],
    "size|sizes": [
      [1, [2, 3]],
      [0, [0, 1], "1"],
    ],
    "number from 0": [
      [0, 1e-5],
      [-1, NaN, Infinity, "1"],
    ],
    "probability below 1": [
      [0, 0.5],
      [1, -0.1, NaN, "0"],
    ],
    dim: [[-1, 2], [0.5]],
    "dim|null": [
      [null, 1],
      [0.5, "1"],
    ],
    dims: [
      [[], [0, -1]],
      [0, [0.5]],
    ],
    "dim|dims": [
      [0, [0, 1]],
      [0.5, [0.5]],
    ],
    shape: [
      [[], [2, 0]],
      [2, [-1], [0.5]],
    ],
    "shape with -1": [[[2, -1]], [[-2], [0.5], 2]],
    boolean: [
      [true, false],
      [0, null],
    ],
    string: [["", "a"], [1]],
    function: [[f], [1, {}]],
    list: [[[]], [{}, new Float32Array(1)]],
    bytes: [[new Uint8Array(1)], [new Uint16Array(1), [1]]],
    values: [
      [[1], new Float32Array(1), new Uint8Array(1)],
      [new DataView(new ArrayBuffer(1)), 1, {}],
    ],
    object: [
      [{}, x],
      [null, [], 1, new Uint8Array(1)],
    ],
    "named tensors": [
      [[["x", x]], new Map([["x", x]])],
      [x, { x }, 1, null],
    ],
    iterable: [
      [[], new Set(), new Map()],
      [{}, null, "a"],
    ],
    generator: [[generator], [{}, { draw: 1 }, null, f]],
    dtype: [
      ["f32", "bool"],
      ["float32", 1],
    ],
  };
  for (const [kind, [right, wrong]] of Object.entries(kinds)) {
    const required = gpugrad.argumentCheck("op", { it: kind } as gpugrad.Takes);
    const optional = gpugrad.argumentCheck("op", { it: `${kind}?` as never });
    for (const check of [required, optional]) {
      for (const value of right) expect(() => check([value]), `${kind}: ${gpugrad.showValue(value)}`).not.toThrow();
      for (const value of wrong) expect(() => check([value]), `${kind}: ${gpugrad.showValue(value)}`).toThrow(/^op: (it is|there is no dtype)/); // prettier-ignore
    }
    expect(() => required([]), kind).toThrow(/^op: it is missing; it has to be /);
    expect(() => optional([]), kind).not.toThrow();
  }
  expect(() => gpugrad.argumentCheck("op", { it: "any" })([x])).not.toThrow();
});

test("options: by name, required ones asked for, a bare value gets a hint where it belongs", () => {
  const check = gpugrad.argumentCheck("op", { x: "number", options: { size: "number", way: ["up", "down"], inner: { deep: "boolean?" } } }); // prettier-ignore
  const options = (value: unknown) => () => check([1, value]);
  expect(options({ size: 1, way: "up", inner: { deep: true } })).not.toThrow();
  expect(options(undefined)).toThrow("op: size is missing; it has to be a number");
  expect(options({ size: 1, way: "u" })).toThrow('op: way "u" is not known; there are up, down. Did you mean up?');
  expect(options({ size: 1, way: 3 })).toThrow("op: way 3 is not known; there are up, down.");
  expect(options({ size: 1, sizes: 2 })).toThrow(
    "op: there is no option sizes. Did you mean size? It takes size, way, inner.",
  );
  expect(options({ size: 1, inner: { deer: 1 } })).toThrow("op: there is no option deer. Did you mean deep?");
  expect(options(7)).toThrow("op: options is 7, not an object with size, way, inner. Write { size: 7 }.");
  expect(options("down")).toThrow('Write { way: "down" }.');
  expect(options(Symbol("s"))).toThrow(/not an object with size, way, inner\.$/);
  expect(options(tensor([1]))).toThrow("options is Tensor([1] f32, user), not an object");
  expect(() => check([1, { size: 1 }, "more"])).toThrow('op: "more" is one argument too many. It takes x, options.');
  const one = gpugrad.argumentCheck("op", { x: "number" });
  expect(() => [1, 2].map((...args) => one(args))).not.toThrow();
  expect(() => one([1, 0, [2]])).toThrow("op: 0 is one argument too many");
  expect(() => one([1, "0", [1]])).toThrow("one argument too many");
});
