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
        ["scope", "autocast", "dryRun", "record", "profile", "traceDispatches"].includes(name)
      )
        continue;
      expect(error, name).toBeInstanceOf(GpugradError);
      expect((error as Error).message).toMatch(new RegExp(`^(${name}|Generator)\\b`));
    }
    expect(undisposed()).toBe(before);
  });

  const x = (): Tensor => fromArray([1, 2, 3, 4], [2, 2]);
  const cases: [string, () => unknown, string][] = [
    ["a dim in place of options", () => untyped["sum"]!(x(), 1), "sum: options is 1, not an object with dim, keepdim. Write { dim: 1 }."],
    ["a list of dims in place of options", () => untyped["amax"]!(x(), [0, 1]), "Write { dim: [0, 1] }."],
    ["an option that does not exist", () => untyped["softmax"]!(x(), { axis: 0 }), "softmax: there is no option axis. It takes dim."],
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
