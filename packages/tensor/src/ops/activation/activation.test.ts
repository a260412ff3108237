import { describe, expect, test } from "vitest";
import { tensor } from "../../factories.ts";
import { checkOp, expectClose, withDevice, type OpCase } from "../../testing/check-op.ts";
import { ndArray } from "../../testing/nd-array.ts";
import * as op from "./activation.ts";
import * as reference from "./activation.reference.ts";
import { glu, hardtanh, logaddexp } from "./gated.ts";

const wide = [-40, -20, -8, -3.5, -1.2, -0.4, -1e-3, -5e-5, 5e-5, 1e-3, 0.3, 1.1, 2.5, 5, 20.5, 40];
const cases: OpCase[] = [
  { shapes: [[1]] },
  { shapes: [[3, 7]] },
  { shapes: [[0, 4]] },
  { shapes: [[50, 21]], gradient: false },
  { shapes: [[16]], values: [wide], rtol: 2e-6, atol: 1e-9, gradient: false, note: "far out and near 0" },
  { shapes: [[16]], values: [wide], note: "slopes far out and near 0" },
];
const withOptions = (...options: object[]): OpCase[] => [
  ...cases,
  ...options.map((o) => ({ shapes: [[5, 5]], args: [o] })),
];

checkOp(op.softplus, reference.softplusReference, { cases: withOptions({ beta: 0.5 }, { beta: 3, threshold: 2 }) });
checkOp(op.leakyRelu, reference.leakyReluReference, { cases: withOptions({ negativeSlope: 0.3 }) });
checkOp(op.elu, reference.eluReference, { cases: withOptions({ alpha: 0.7 }) });
checkOp(op.celu, reference.celuReference, { cases: withOptions({ alpha: 2.5 }) });
checkOp(op.selu, reference.seluReference, { cases });
checkOp(op.mish, reference.mishReference, { cases });
checkOp(op.hardswish, reference.hardswishReference, { cases });
checkOp(op.hardsigmoid, reference.hardsigmoidReference, { cases });
checkOp(op.logsigmoid, reference.logsigmoidReference, { cases });
checkOp(op.expm1, reference.expm1Reference, {
  cases: [...cases.slice(0, 4), { shapes: [[14]], values: [wide.slice(0, 14)] }],
});
checkOp(op.log1p, reference.log1pReference, {
  cases: [{ shapes: [[3, 7]], map: Math.abs }, { shapes: [[12]], values: [[-0.99, -0.6, -0.2, ...wide.slice(6, 15)]] }],
}); // prettier-ignore
checkOp(logaddexp, reference.logaddexpReference, {
  cases: [{ shapes: [[3, 7], [3, 7]] }, { shapes: [[3, 1], [7]] }, { shapes: [[4], [4]], values: [[80, 80, -90, 1], [80, -80, -90, 1e-7]] }],
}); // prettier-ignore

describe("at their kinks and ends", () => {
  withDevice();

  test("slopes are PyTorch's", async () => {
    const slopeAt = async (f: { definition: typeof op.elu.definition }, x: number[], ...rest: never[]) => {
      const { saved } = f.definition.forward(tensor(x), ...rest);
      const backward = f.definition.backward as (s: unknown, dy: ReturnType<typeof tensor>) => { x: ReturnType<typeof tensor> };
      return Array.from(await backward(saved, tensor(x.map(() => 1))).x.data());
    }; // prettier-ignore
    type Any = { definition: typeof op.elu.definition };
    expect(await slopeAt(op.leakyRelu as Any, [0])).toEqual([Math.fround(0.01)]);
    expect(await slopeAt(op.elu, [0], { alpha: 0.5 } as never)).toEqual([0.5]);
    expect(await slopeAt(op.selu as Any, [0])).toEqual([Math.fround(1.7580993408473766)]);
    expect(await slopeAt(op.celu, [0], { alpha: 2 } as never)).toEqual([1]);
    expect(await slopeAt(op.hardswish as Any, [-3, 3])).toEqual([0, 1]);
    expect(await slopeAt(op.hardsigmoid as Any, [-3, 3])).toEqual([0, 0]);
    expect(await slopeAt(op.softplus as Any, [20.5])).toEqual([1]);
  });

  test("infinite values", async () => {
    const [inf, minus] = [tensor([Infinity]), tensor([-Infinity])];
    expect(await op.softplus(inf).item()).toBe(Infinity);
    expect(await op.softplus(minus).item()).toBe(0);
    expect(await op.expm1(minus).item()).toBe(-1);
    expect(await op.elu(minus).item()).toBe(-1);
    expect(await op.log1p(tensor([-1])).item()).toBe(-Infinity);
    expect(await logaddexp(minus, minus).item()).toBe(-Infinity);
    expect(await logaddexp(inf, inf).item()).toBe(Infinity);
    expect(await logaddexp(minus, tensor([3])).item()).toBe(3);
  });

  test("glu and hardtanh", async () => {
    const x = tensor([[1, -2, 0.5, 3], [0, 4, -1, 2]]); // prettier-ignore
    const want = reference.gluReference(ndArray([2, 4], await x.data()));
    expectClose(await glu(x).data(), want.data, { rtol: 1e-6, atol: 1e-7 }, "glu");
    expect(await hardtanh(x, { minVal: -1, maxVal: 2 }).toArray()).toEqual([[1, -1, 0.5, 2], [0, 2, -1, 2]]); // prettier-ignore
    expect(() => glu(tensor([1, 2, 3]))).toThrow("glu: dimension -1 of [3] is odd");
    expect(() => op.softplus(x, { beta: 0 })).toThrow("softplus: beta is 0");
    expect(() => op.elu(x, { aplha: 1 } as object)).toThrow("elu: there is no option aplha. Did you mean alpha?");
    expect(await op.elu(tensor([2, 0], "i32")).toArray()).toEqual([2, 0]);
  });
});
