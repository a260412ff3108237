import { describe, expect, test } from "vitest";
import { sizeOf, type Shape } from "../../shape.ts";
import { scope } from "../../scope.ts";
import { checkOp, expectClose, withDevice, type OpCase } from "../../testing/check-op.ts";
import { fromArray, tensor } from "../../factories.ts";
import type { Tensor } from "../../tensor.ts";
import { amax, amin } from "../reduce/extremes.ts";
import { sum } from "../reduce/sum.ts";
import * as binary from "./binary.ts";
import { binaryReference, clampReference, erfcOf, geluReference, unaryReference } from "./elementwise.reference.ts";
import { addInPlace, fill, filled } from "./fill.ts";
import { isfinite, isinf, isnan, logicalNot } from "./predicate.ts";
import { withRung } from "../ladders.ts";
import * as unary from "./unary.ts";
import { maskedFill, where } from "./where.ts";

const shapes: OpCase[] = [{ shapes: [[]] }, { shapes: [[1]] }, { shapes: [[3, 7]] }, { shapes: [[0, 4]] }];

/** `count` numbers from `low` to `high`, evenly spaced. */
const sweep = (low: number, high: number, count = 401): number[] =>
  Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

/** Evenly spaced in their logarithms. */
const scales = (low: number, high: number): number[] => sweep(Math.log(low), Math.log(high)).map(Math.exp);

/** A case of given numbers, forward only: as f32, so that the reference sees what the kernel sees. */
const values = (list: number[], tolerance: Partial<OpCase> = {}): OpCase => ({
  shapes: [[list.length]],
  values: [Float32Array.from(list)],
  gradient: false,
  rtol: 1e-6,
  atol: 1e-37,
  ...tolerance,
});
const positive = (v: number): number => 0.1 + Math.abs(v);
const positiveShapes = shapes.map((c) => ({ ...c, map: positive }));

describe("functions of one tensor", () => {
  const checkUnary = (name: Parameters<typeof unaryReference>[0], cases: OpCase[]): void =>
    checkOp(unary[name], unaryReference(name), { cases });
  for (const name of ["neg", "abs", "square", "relu", "sign"] as const) checkUnary(name, shapes);
  checkUnary("square", [{ shapes: [[13, 61]], note: "several workgroups" }]);
  for (const name of ["floor", "ceil", "round"] as const) {
    checkUnary(name, [...shapes, values([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e9, 8388609])]);
  }
  for (const name of ["sqrt", "rsqrt", "reciprocal"] as const) {
    checkUnary(name, [...positiveShapes, values(scales(1e-30, 1e30))]);
  }
  checkUnary("log", [...positiveShapes, values(scales(1e-37, 3e38)), values(sweep(0.9, 1.1), { rtol: 2e-6 })]);
  checkUnary("exp", [...shapes, values(sweep(-87, 88.7)), values([-1e30, -200])]);
  checkUnary("sin", [
    ...shapes,
    values(sweep(-8, 8), { atol: 1e-7 }),
    values([201, 1e4, -1e6, 1e15, 3e38], { atol: 1e-7 }),
  ]);
  checkUnary("cos", [
    ...shapes,
    values(sweep(-8, 8), { atol: 1e-7 }),
    values([201, 1e4, -1e6, 1e15, 3e38], { atol: 1e-7 }),
  ]);
  checkUnary("tanh", [...shapes, values(sweep(-12, 12)), values(scales(1e-20, 1e30))]);
  checkUnary("sigmoid", [...shapes, values(sweep(-86, 86))]);
  checkUnary("silu", [...shapes, values(sweep(-80, 86)), values([-3e38, -1e4, 3e38])]);
  checkUnary("erf", [...shapes, values(sweep(-5, 5)), values(scales(1e-30, 1e30))]);
  const large = values([-3e38, -1e4, 1e4, 3e38]);
  checkOp(unary.gelu, geluReference, {
    cases: [
      ...shapes,
      values(sweep(-12.5, 12.5), { rtol: 6e-6 }), // f32 has x² / 2 to 2⁻²⁴ of its size, and e to its power loses as much
      large,
      { shapes: [[9]], args: [{ approximate: "tanh" }] },
      { ...values(sweep(-9, 9), { rtol: 2e-5 }), args: [{ approximate: "tanh" }] },
      { ...large, args: [{ approximate: "tanh" }] },
    ],
  });
  const naive = {
    opName: "gelu-naive",
    definition: {
      forward: (x: Tensor) => withRung("gelu", "naive", () => unary.gelu.definition.forward(x)),
      backward: undefined,
    },
  };
  checkOp(naive, geluReference, { cases: [...shapes, values(sweep(-9, 9), { rtol: 2e-5 }), large] });
  checkOp(unary.clamp, clampReference, {
    cases: [
      { shapes: [[3, 7]], args: [{ min: -0.5, max: 1 }] },
      { shapes: [[5]], args: [{ min: -0.5 }] },
      { shapes: [[5]], args: [{ max: 0.25 }] },
      { shapes: [[5]], args: [{ min: 2, max: -1 }] },
    ],
  });

  describe("by hand", () => {
    withDevice();

    test("gelu's gradient has the tail's precision", async () => {
      const points = Float32Array.from(sweep(-8, 8, 65));
      const x = fromArray(points, [points.length]);
      const { saved } = unary.gelu.definition.forward(x);
      const dx = unary.gelu.definition.backward as (...args: unknown[]) => { x: Tensor };
      const got = await dx(saved, filled(x.shape, 1), { x: true }).x.data();
      const want = Array.from(
        points,
        (v) => erfcOf(-v / Math.SQRT2) / 2 + (v * Math.exp((-v * v) / 2)) / Math.sqrt(2 * Math.PI),
      );
      expectClose(got, want, { rtol: 5e-6, atol: 1e-7 }, "gelu gradient");
    });

    test("whole numbers stay whole, or become f32", async () => {
      const i = tensor([-2, 0, 3], "i32");
      const dtypes = [unary.neg(i), unary.abs(i), unary.relu(i), unary.sign(i), unary.square(i), unary.floor(i)];
      expect(dtypes.map((t) => t.dtype)).toEqual(["i32", "i32", "i32", "i32", "i32", "i32"]);
      expect(await Promise.all(dtypes.map((t) => t.toArray()))).toEqual([
        [2, 0, -3],
        [2, 0, 3],
        [0, 0, 3],
        [-1, 0, 1],
        [4, 0, 9],
        [-2, 0, 3],
      ]);
      expect(await unary.clamp(i, { min: -1, max: 2 }).toArray()).toEqual([-1, 0, 2]);
      expect(unary.exp(i).dtype).toBe("f32");
      for (const t of [...dtypes, i]) t.dispose(); // floor's shares i's memory: collected later, it would count twice
    });

    test("edges: NaN, infinity, zero", async () => {
      const x = fromArray([NaN, Infinity, -Infinity, 0, 89, -1], [6]);
      expect(await isnan(x).toArray()).toEqual([true, false, false, false, false, false]);
      expect(await isinf(x).toArray()).toEqual([false, true, true, false, false, false]);
      expect(await isfinite(x).toArray()).toEqual([false, false, false, true, true, true]);
      expect(await logicalNot(tensor([0, 2, -0])).toArray()).toEqual([true, false, true]);
      expect(await logicalNot(tensor([true, false])).toArray()).toEqual([false, true]);
      expect(await isfinite(tensor([2147483647], "i32")).toArray()).toEqual([true]);
      expect(Array.from(await unary.exp(x).data()).slice(0, 5)).toEqual([NaN, Infinity, 0, 1, Infinity]);
      expect(Array.from(await unary.log(x).data()).slice(0, 4)).toEqual([NaN, Infinity, NaN, -Infinity]);
      expect((await unary.log(x).data())[5]).toBeNaN();
      expect(Array.from(await unary.tanh(x).data()).slice(0, 4)).toEqual([NaN, 1, -1, 0]);
    });

    test("refuse what makes no sense", () => {
      const x = tensor([1]);
      expect(() => unary.clamp(x, {})).toThrow("clamp: neither min nor max");
      expect(() => unary.gelu(x, { approximate: "sigmoid" as "tanh" })).toThrow(
        'gelu: approximate "sigmoid" is not known; there are none, tanh.',
      );
    });
  });
});

describe("functions of two tensors", () => {
  const pairs: OpCase[] = [
    { shapes: [[], []] },
    { shapes: [[7], [7]] },
    { shapes: [[3, 8], [8]], note: "row of fours" },
    { shapes: [[3, 7], [7]], note: "row" },
    { shapes: [[7], [3, 7]] },
    { shapes: [[9, 3], [3]], note: "rows of three" },
    { shapes: [[9, 2], [2]], note: "rows of two" },
    {
      shapes: [
        [2, 3, 8],
        [3, 1],
      ],
      note: "one for each row of fours",
    },
    {
      shapes: [
        [2, 1, 1, 8],
        [2, 3, 2, 8],
      ],
      note: "a mask of fours",
    },
    {
      shapes: [
        [2, 1, 1, 6],
        [2, 3, 2, 6],
      ],
      note: "a mask",
    },
    {
      shapes: [
        [5, 4],
        [5, 1],
      ],
      note: "column",
    },
    {
      shapes: [
        [4, 1],
        [1, 5],
      ],
      note: "both",
    },
    { shapes: [[2, 3, 4], []], note: "scalar" },
    {
      shapes: [
        [2, 1, 3, 1],
        [4, 1, 5],
      ],
    },
    { shapes: [[0, 3], [3]] },
    { shapes: [[2, 3]], args: [2.5], note: "number" },
    {
      shapes: [
        [1, 2, 1, 2, 1, 2, 1, 3],
        [2, 1, 2, 1, 2, 1, 2, 1],
      ],
      gradient: false,
      note: "eight dimensions",
    },
  ];
  for (const name of ["add", "sub", "mul", "maximum", "minimum"] as const) {
    checkOp(binary[name], binaryReference(name), { cases: pairs });
  }
  const away = pairs.map((c) => ({ ...c, map: (v: number) => Math.sign(v) * (0.3 + Math.abs(v)) }));
  checkOp(binary.div, binaryReference("div"), { cases: away });
  const bases = pairs.map((c) => ({ ...c, map: (v: number, i: number) => (i === 0 ? 0.2 + Math.abs(v) : v) }));
  const exponents = sweep(-30, 30, 151);
  const wide = Float32Array.from(exponents, (_, i) => Math.exp(-2 + (4 * ((i * 37) % 151)) / 151));
  for (const name of ["remainder", "fmod"] as const) {
    // Far from whole quotients, where a small step would jump.
    const between = [[5.5, -5.5, 5.5, -5.5, 0.3, -0.3, 1000.25], [2, 2, -2, -2, 7, 7, 0.75]]; // prettier-ignore
    checkOp(binary[name], binaryReference(name), {
      cases: [
        { shapes: [[7], [7]], values: between },
        { shapes: [[7], [1]], values: [between[0], [1.75]] },
        { shapes: [[7]], values: [between[0]], args: [-1.75] },
      ],
    });
  }

  checkOp(binary.pow, binaryReference("pow"), {
    cases: [
      ...bases,
      {
        shapes: [[151], [151]],
        values: [wide, Float32Array.from(exponents)],
        gradient: false,
        rtol: 1e-6,
        atol: 1e-37,
      },
      { shapes: [[4]], values: [[-2, -1, 0, 3]], args: [3] },
      { shapes: [[4]], values: [[-2, -1, 0, 3]], args: [0] },
      {
        shapes: [[3], [3]],
        values: [
          [-2, -3, -1],
          [2, -3, 5],
        ],
        gradient: false,
      },
    ],
  });

  describe("by hand", () => {
    withDevice();

    test("operands meet in one dtype", async () => {
      const f = tensor([1.5, -2]);
      const i = tensor([2, -3], "i32");
      const u = tensor([2, 3], "u32");
      const t = tensor([true, false]);
      const { add, mul, div, sub, eq, lt, pow, maximum } = binary;
      const results = [
        add(f, i),
        add(i, 1),
        add(i, 0.5),
        add(u, 1),
        add(u, -3),
        add(t, t),
        mul(t, 2),
        div(i, 2),
        pow(i, 2),
      ];
      expect(results.map((r) => r.dtype)).toEqual(["f32", "i32", "f32", "u32", "i32", "bool", "i32", "f32", "f32"]);
      expect(await Promise.all(results.map((r) => r.toArray()))).toEqual([
        [3.5, -5],
        [3, -2],
        [2.5, -2.5],
        [3, 4],
        [-1, 0],
        [true, false],
        [2, 0],
        [1, -1.5],
        [4, 9],
      ]);
      expect(await maximum(i, u).toArray()).toEqual([2, 3]);
      expect(await eq(t, 1).toArray()).toEqual([true, false]);
      expect(await lt(tensor([4_000_000_000], "u32"), 1).toArray()).toEqual([false]);
      expect(await sub(5, f).toArray()).toEqual([3.5, 7]);
      expect(await add(tensor([16777217], "i32"), 1).toArray()).toEqual([16777218]);
      expect(() => sub(t, t)).toThrow("sub: both are bool");
      expect(() => add(1, 2)).toThrow("add: two numbers (1, 2)");
      expect(() => add(f, tensor([1, 2, 3]))).toThrow("add: shapes don't broadcast: [2] and [3]");
    });

    test("remainders of whole numbers, of multiples, of 0 and of infinity", async () => {
      const { remainder, fmod } = binary;
      const [i, u] = [tensor([7, -7, 7, -7], "i32"), tensor([7, 4_000_000_001], "u32")];
      expect(await remainder(i, tensor([3, 3, -3, 0], "i32")).toArray()).toEqual([1, 2, -2, 0]);
      expect(await fmod(i, 3).toArray()).toEqual([1, -1, 1, -1]);
      expect(await remainder(u, 10).toArray()).toEqual([7, 1]);
      const tenths = tensor([0.1, 0.2, 0.3, 0.7, 1.1].map((v) => v * 3));
      const parts = await remainder(tenths, tensor([0.1, 0.2, 0.3, 0.7, 1.1])).data();
      for (const [k, b] of [0.1, 0.2, 0.3, 0.7, 1.1].entries())
        expect(Math.min(parts[k]!, b - parts[k]!)).toBeCloseTo(0, 6);
      expect(await remainder(tensor([1, -1, 1]), tensor([-Infinity, -Infinity, 0])).toArray()).toEqual([
        -Infinity,
        -1,
        NaN,
      ]);
      expect(await fmod(tensor([1, -1, Infinity]), tensor([-Infinity, Infinity, 2])).toArray()).toEqual([1, -1, NaN]);
    });

    test("comparisons", async () => {
      const a = tensor([1, 2, 3, 4, 5]);
      const b = tensor([3]);
      const { eq, ne, lt, le, gt, ge, logicalAnd, logicalOr } = binary;
      const got = [eq, ne, lt, le, gt, ge].map((f) => f(a, b));
      expect(await Promise.all(got.map(async (r) => Array.from(await r.data()).join("")))).toEqual([
        "00100",
        "11011",
        "11000",
        "11100",
        "00011",
        "00111",
      ]);
      expect(await logicalAnd(lt(a, 4), gt(a, 1)).toArray()).toEqual([false, true, true, false, false]);
      expect(await logicalOr(tensor([0, 2, 0]), tensor([0, 0, -1])).toArray()).toEqual([false, true, true]);

      // Nothing is equal to NaN, smaller or larger, and NaN is not 0.
      const [c, d] = [tensor([NaN, NaN, 1, 0]), tensor([1, NaN, NaN, NaN])];
      const withNaN = [eq, ne, lt, le, gt, ge, logicalAnd, logicalOr].map((f) => f(c, d));
      expect(await Promise.all(withNaN.map(async (r) => Array.from(await r.data()).join("")))).toEqual([
        ...["0000", "1111", "0000", "0000", "0000", "0000"],
        ...["1110", "1111"],
      ]);
    });

    test("where and maskedFill: what is not chosen leaves no trace", async () => {
      const mask = tensor([[true], [false]]);
      const x = tensor([
        [1, NaN],
        [NaN, 4],
      ]);
      expect(await where(mask, 7, tensor([1, 2])).toArray()).toEqual([
        [7, 7],
        [1, 2],
      ]);
      expect(
        await maskedFill(
          x,
          tensor([
            [false, true],
            [true, false],
          ]),
          -1,
        ).toArray(),
      ).toEqual([
        [1, -1],
        [-1, 4],
      ]);
      expect(where(mask, tensor([1], "i32"), 2).dtype).toBe("i32");
      const backward = where.definition.backward as (...args: unknown[]) => Record<"a" | "b", Tensor>;
      const { saved } = where.definition.forward(mask, x, tensor([5]));
      const dy = tensor([
        [1, 2],
        [3, 4],
      ]);
      const gradients = backward(saved, dy, { a: true, b: true });
      expect(await gradients.a.toArray()).toEqual([
        [1, 2],
        [0, 0],
      ]);
      expect(await gradients.b.toArray()).toEqual([7]);
      expect(() => where(x, 1, 2)).toThrow("where: the condition is f32, not bool. Use ne(");
    });

    test("where by every layout of its operands", async () => {
      const shape = [2, 3, 8];
      const layouts: Shape[] = [[2, 3, 8], [1], [3, 8], [8], [3, 1], [2, 1, 8], [2, 1, 1]];
      const at = (s: Shape, i: number): number => {
        const index = [Math.floor(i / 24), Math.floor(i / 8) % 3, i % 8].slice(3 - s.length);
        return s.reduce((offset, n, d) => offset * n + (n === 1 ? 0 : index[d]!), 0);
      };
      for (const [k, c] of layouts.entries()) {
        const [a, b] = [layouts[(k + 1) % 7]!, layouts[(k + 3) % 7]!];
        const numbers = (s: Shape, first: number) =>
          fromArray(
            Float32Array.from({ length: sizeOf(s) }, (_, i) => first + i),
            s,
          );
        const condition = binary.eq(binary.sub(numbers(c, k), 3), 0);
        const chosen = Array.from({ length: sizeOf(shape) }, (_, i) =>
          at(c, i) + k === 3 ? 100 + at(a, i) : 200 + at(b, i),
        );
        const full = scope(() => where(condition, binary.add(numbers(a, 100), filled(a, 0)), numbers(b, 200)));
        const got = binary.add(full, filled(shape, 0)); // in case all three are smaller
        expect(Array.from(await got.data())).toEqual(chosen);
      }
    });

    test("in place", async () => {
      const x = filled([5], 2);
      const before = x.storage.version;
      addInPlace(x, tensor([1, 2, 3, 4, 5]));
      addInPlace(x, x);
      expect(await x.toArray()).toEqual([6, 8, 10, 12, 14]);
      fill(x, -1);
      expect(await x.toArray()).toEqual([-1, -1, -1, -1, -1]);
      expect(x.storage.version).toBe(before + 3);
      expect(await filled([3], 0.5, "f16").toArray()).toEqual([0.5, 0.5, 0.5]);
      const large = filled([1001], 1);
      addInPlace(large, large);
      expect(await large.toArray()).toEqual(Array(1001).fill(2));
      expect(() => addInPlace(x, tensor([1]))).toThrow("addInPlace: Tensor([5] f32");
    });

    test("more than 65,535 workgroups", async () => {
      const n = 17_000_001;
      const [low, high, total] = scope(() => {
        const y = binary.add(unary.square(filled([n], 1.5)), 0.75);
        return [amin(y), amax(y), sum(y)];
      });
      expect([await low.item(), await high.item(), await total.item()]).toEqual([3, 3, Math.fround(3 * n)]);
    });
  });
});

describe("functions of whole numbers", () => {
  withDevice();

  test("keep their dtype where the result is whole, else become f32", async () => {
    const [i, u] = [tensor([-3, 0, 5], "i32"), tensor([3, 0, 4e9], "u32")];
    const check = async (y: Tensor, dtype: string, want: number[]) =>
      expect([y.dtype, await y.toArray()]).toEqual([dtype, want]);
    await check(unary.abs(i), "i32", [3, 0, 5]);
    await check(unary.abs(u), "u32", [3, 0, 4e9]);
    await check(unary.sign(i), "i32", [-1, 0, 1]);
    await check(unary.sign(u), "u32", [1, 0, 1]);
    await check(unary.neg(i), "i32", [3, 0, -5]);
    await check(unary.square(i), "i32", [9, 0, 25]);
    await check(unary.relu(i), "i32", [0, 0, 5]);
    for (const op of [unary.floor, unary.ceil, unary.round]) await check(op(i), "i32", [-3, 0, 5]);
    await check(unary.clamp(i, { min: -1 }), "i32", [-1, 0, 5]);
    await check(unary.clamp(i, { max: 1 }), "i32", [-3, 0, 1]);
    await check(unary.clamp(i, { min: -0.5 }), "f32", [-0.5, 0, 5]);
    await check(unary.sqrt(tensor([4, 9], "i32")), "f32", [2, 3]);
    await check(unary.gelu(tensor([0, 20], "i32")), "f32", [0, 20]);
    await check(unary.neg(tensor([true, false])), "f32", [-1, -0]);
    expect(() => unary.clamp(i, {})).toThrow("clamp: neither min nor max is given");
  });
});

describe("functions of two", () => {
  withDevice();
  const backward = (op: { definition: { backward: unknown } }) =>
    op.definition.backward as (
      saved: unknown,
      dy: Tensor,
      needs: object,
    ) => Record<"a" | "b" | "x", Tensor | undefined>;

  test("pow of a number: the gradient of the exponent, also at base 0", async () => {
    for (const [base, want] of [
      [3, [Math.log(3) * 9, Math.log(3) / 3]],
      [0, [0, -Infinity]],
    ] as const) {
      // prettier-ignore
      const { saved } = binary.pow.definition.forward(base, tensor([2, -1]));
      const { a, b } = backward(binary.pow)(saved, tensor([1, 1]), { a: true, b: true });
      expect(a).toBeUndefined();
      const got = await b!.data();
      want.forEach((v, k) => expect(got[k]).toBeCloseTo(v, 5));
    }
  });

  test("where of two numbers is f32, and a mask's gradient goes to what is not masked, summed where x was broadcast", async () => {
    const mask = tensor([[true, false], [false, false]]); // prettier-ignore
    const y = where(mask, 1, 2);
    expect([y.dtype, await y.toArray()]).toEqual(["f32", [[1, 2], [2, 2]]]); // prettier-ignore
    const { output, saved } = maskedFill.definition.forward(tensor([5, 6]), mask, -1);
    expect(await output.toArray()).toEqual([[-1, 6], [5, 6]]); // prettier-ignore
    const dy = tensor([[1, 2], [3, 4]]); // prettier-ignore
    expect(await backward(maskedFill)(saved, dy, { x: true }).x!.toArray()).toEqual([3, 6]);
    expect(() => maskedFill(tensor([1]), tensor([1]), 0)).toThrow(
      "maskedFill: the mask is f32, not bool. Use ne(the mask",
    );
  });

  test("broadcasting refuses more dimensions than kernels walk, and joins those that lie together", async () => {
    const shape = new Array<number>(10).fill(2);
    const stripes = filled(shape.map((n, d) => (d % 2 ? 1 : n)), 1); // prettier-ignore
    expect(() => binary.add(stripes, filled(shape, 1))).toThrow(/leaves 10 dimensions; kernels walk 8. Reshape first/);
    const ones = filled([1, 1, 1], 2);
    expect(await binary.add(ones, filled([1], 3)).toArray()).toEqual([[[5]]]);
    expect(await binary.add(filled([2, 2, 1, 1], 1), filled([2, 2, 2, 2], 1)).toArray()).toEqual(
      Array(2).fill(Array(2).fill(Array(2).fill([2, 2]))),
    );
  });

  test("two numbers are no operands", () => {
    expect(() => binary.add(1, 2)).toThrow();
  });

  test("fill writes any dtype, and forgets what did not compile", async () => {
    for (const [dtype, value] of [
      ["f32", 1.5],
      ["f16", 1.5],
      ["bf16", -2],
      ["i32", -7],
      ["u32", 4e9],
    ] as const) {
      // prettier-ignore
      const x = filled([3], 0, dtype);
      fill(x, value);
      expect(await x.toArray(), dtype).toEqual([value, value, value]);
    }
    const flags = filled([2], 0, "bool");
    fill(flags, 3);
    expect(await flags.toArray()).toEqual([true, true]);
    for (const bad of [NaN, 2 ** 31, 1e10])
      expect(() => fill(filled([1], 0, "i32"), bad)).toThrow(`fill: ${bad} does not fit i32`);
    for (const [a, b] of [
      [filled([2], 0, "i32"), filled([2], 0)],
      [filled([2], 0), filled([2], 0, "i32")],
    ] as const)
      // prettier-ignore
      expect(() => addInPlace(a, b)).toThrow("both have to be f32 of the same shape");
  });
});
