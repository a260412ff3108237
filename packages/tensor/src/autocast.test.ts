import { describe, expect, test } from "vitest";
import { autocast, computeType } from "./autocast.ts";
import { f16Bits, f16Value } from "./dtype.ts";
import { ladders, withRung } from "./ops/ladders.ts";
import { matmul } from "./ops/matmul/matmul.ts";
import { matmulReference } from "./ops/matmul/matmul.reference.ts";
import { device } from "./runtime/init.ts";
import { scope } from "./scope.ts";
import { fromArray } from "./factories.ts";
import { expectClose, randomNormal, withDevice } from "./testing/check-op.ts";
import { ndArray } from "./testing/nd-array.ts";

/** An f32 with as many bits of significand as f16 has. */
function withoutLowBits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0]! &= ~0x1fff;
  return new Float32Array(bits.buffer)[0]!;
}

describe("autocast", () => {
  withDevice();

  test("products are those of factors rounded to f16, whatever the kernel, forward and backward", async () => {
    const [M, K, N] = [70, 36, 65];
    // WGSL leaves open how quantizeToF16 rounds: SwiftShader drops the bits that f16 doesn't have, others round to nearest.
    const drops = /swiftshader/i.test(device().adapter.description);
    const rounded = (values: number[]): number[] => values.map(drops ? withoutLowBits : (v) => f16Value(f16Bits(v)));
    const [a, b, dy] = [randomNormal(M * K, 1), randomNormal(K * N, 2), randomNormal(M * N, 3)];
    const want = matmulReference(ndArray([M, K], rounded(a)), ndArray([K, N], rounded(b))).data;
    const wantDa = matmulReference(ndArray([M, N], rounded(dy)), ndArray([K, N], rounded(b)), {
      transposeB: true,
    }).data;
    for (const rung of Object.values(ladders.matmul.rungs)) {
      if (!rung.suits(device().adapter, { M, N, K, batches: 1, precision: "f16" })) continue;
      const both = () => {
        const { output, saved } = autocast(() => matmul.definition.forward(fromArray(a, [M, K]), fromArray(b, [K, N])));
        const { backward } = matmul.definition;
        if (typeof backward !== "function") throw new Error("matmul has a gradient");
        return [output, backward(saved, fromArray(dy, [M, N]), { a: true, b: false }).a!] as const;
      };
      const [y, da] = withRung("matmul", rung.name, () => scope(both));
      const tolerance = { rtol: 1e-5, atol: 2e-5 };
      expectClose(await y.data(), want, tolerance, rung.kernel);
      expectClose(await da.data(), wantDa, tolerance, `${rung.kernel}, gradient of a`);
      y.dispose();
      da.dispose();
    }
  });

  test("ends with the work, errors included, and an inner f32 turns it off", () => {
    autocast(() => {
      expect(computeType()).toBe("f16");
      expect(autocast(computeType, { dtype: "f32" })).toBe("f32");
    });
    expect(() =>
      autocast(() => {
        throw new Error("from within");
      }),
    ).toThrow("from within");
    expect(computeType()).toBe("f32");
  });

  test("refuses asynchronous work", () => {
    expect(() => autocast(() => Promise.resolve())).toThrow("autocast: the work is asynchronous");
  });
});
