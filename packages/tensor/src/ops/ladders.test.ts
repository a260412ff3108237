import { describe, expect, test, vi } from "vitest";
import { fromArray, tensor } from "../factories.ts";
import { device } from "../runtime/init.ts";
import { scope } from "../scope.ts";
import type { Tensor } from "../tensor.ts";
import { withDevice } from "../testing/check-op.ts";
import { attention } from "./attention/attention.ts";
import { chooseAttention } from "./attention/choose.ts";
import { gelu } from "./elementwise/unary.ts";
import type { Rung } from "./ladder.ts";
import { forceRung, ladders, withRung, type LadderName } from "./ladders.ts";
import { matmul } from "./matmul/matmul.ts";
import { layerNorm } from "./norm/layer-norm.ts";
import { lstmSequence } from "./recurrent/recurrent.ts";
import { disentangledAttention } from "./relative/disentangled-attention.ts";
import { numberDistances } from "./relative/relative-bias.ts";
import { softmax } from "./softmax/softmax.ts";

withDevice();

/** The files of the kernels that `work` dispatches. */
function dispatched(work: () => unknown): string[] {
  const dispatch = vi.spyOn(device().queue, "dispatch");
  try {
    scope(() => void work());
    return dispatch.mock.calls.map(([kernel]) => kernel.file.replace(/^.*\/|\.wgsl$/g, ""));
  } finally {
    dispatch.mockRestore();
  }
}

const zeros = (...shape: number[]): Tensor => fromArray(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);

/** A call of each ladder's op, and its sizes; `runs` where a rung is not a kernel of its own. */
const calls: { [L in LadderName]: { sizes: object; call: () => unknown; runs?: Record<string, () => string> } } = {
  attention: {
    sizes: { headDim: 8 },
    call: () => attention(zeros(1, 1, 4, 8), zeros(1, 1, 4, 8), zeros(1, 1, 4, 8), undefined),
  },
  gelu: { sizes: {}, call: () => gelu(zeros(8)) },
  matmul: {
    sizes: { M: 8, N: 8, K: 8, batches: 1, precision: "f32" },
    call: () => matmul(zeros(8, 8), zeros(8, 8)),
  },
  norm: {
    sizes: { pass: "forward", rows: 4, cols: 8, eps: 0, center: true, residual: false, weight: true, bias: true },
    call: () => layerNorm(zeros(4, 8), zeros(8), zeros(8)),
  },
  positions: {
    sizes: { headDim: 8 },
    runs: { fused: () => chooseAttention(device().adapter, { headDim: 8 }).kernel },
    call: () => {
      const [q, table] = [zeros(1, 3, 1, 8), zeros(1, 5, 1, 8)];
      return disentangledAttention(q, q, q, table, table, numberDistances([0, 1, 2, 3, 4]));
    },
  },
  recurrent: {
    sizes: { batch: 2, units: 4, steps: 3 },
    call: () => lstmSequence(zeros(3, 2, 16), zeros(2, 2, 4), zeros(16, 4)),
  },
  softmax: { sizes: { pass: "forward", rows: 4, cols: 8, inner: 1 }, call: () => softmax(zeros(4, 8)) },
};

test("attention takes a rung for one call as well", () => {
  const { naive, online } = ladders.attention.rungs;
  for (const { name, kernel } of [naive, online] as const) {
    const variant = name as "naive" | "online";
    const [q, k, v] = [zeros(1, 1, 4, 8), zeros(1, 1, 4, 8), zeros(1, 1, 4, 8)];
    expect(dispatched(() => attention(q, k, v, undefined, { variant }))).toContain(kernel);
  }
});

describe.each(Object.keys(ladders) as LadderName[])("the ladder of %s", (name) => {
  const rungs = Object.entries<Rung>(ladders[name].rungs);

  test("has rungs that say their name, their kernel and their idea", () => {
    expect(rungs.length).toBeGreaterThan(1);
    for (const [key, rung] of rungs) {
      expect(rung.name).toBe(key);
      expect(rung.idea.length).toBeGreaterThan(5);
    }
    expect(new Set(rungs.map(([, rung]) => rung.kernel)).size).toBe(rungs.length);
  });

  test("runs the kernel of the rung that is asked for", () => {
    const { sizes, call, runs } = calls[name];
    const usual = dispatched(call);
    const fit = rungs.filter(([, rung]) => rung.suits(device().adapter, sizes as never));
    for (const [key, rung] of fit) {
      expect(dispatched(() => withRung(name, key, call))).toContain(runs?.[key]?.() ?? rung.kernel.split(" ")[0]);
    }
    expect(fit.length).toBeGreaterThan(1);
    expect(dispatched(call)).toEqual(usual);
  });
});

describe("withRung", () => {
  const product = (): Tensor => matmul(zeros(4, 4), zeros(4, 4));
  const isNaive = (): boolean => dispatched(product).join() === "matmul-naive";
  const others = { rung: ladders.matmul.rungs.registers };

  test("ends with the work: with an error, and where asynchronous work settles; within another, that one is in force again", async () => {
    withRung("matmul", others, () => {
      expect(isNaive()).toBe(false);
      expect(withRung("matmul", "naive", isNaive)).toBe(true);
      expect(isNaive()).toBe(false);
    });
    const failing = (): never => {
      throw new Error("from within");
    };
    expect(() => withRung("matmul", "naive", failing)).toThrow("from within");
    expect(ladders.matmul.forced).toBeUndefined();
    const later = withRung("matmul", "naive", async () => {
      await Promise.resolve();
      return isNaive();
    });
    expect(ladders.matmul.forced?.rung.name).toBe("naive");
    expect(await later).toBe(true);
    expect(ladders.matmul.forced).toBeUndefined();
    await expect(withRung("matmul", "naive", () => Promise.reject(new Error("later")))).rejects.toThrow("later");
    expect(ladders.matmul.forced).toBeUndefined();
  });

  test("reads the parts of k as a tuning writes them, and each ladder has its own", () => {
    withRung("matmul", "tiled/4", () => {
      expect(ladders.matmul.forced).toEqual({ rung: ladders.matmul.rungs.tiled, splits: 4 });
      expect(ladders.norm.forced).toBeUndefined();
    });
    const end = forceRung("matmul", "tiled");
    expect(ladders.matmul.forced).toEqual({ rung: ladders.matmul.rungs.tiled, splits: undefined });
    end();
  });

  test("refuses a rung or a ladder that isn't there, and names what may be meant", () => {
    expect(() => withRung("softmax", "row", () => tensor([1]))).toThrow(
      "withRung: softmax has no rung row; there are naive, rows, workgroup, subgroup. Did you mean rows?",
    );
    expect(() => withRung("softmax", 7 as unknown as string, () => 0)).toThrow(
      "softmax has no rung 7; there are naive",
    );
    expect(() => withRung("softmax", "rows", 1 as unknown as () => void)).toThrow(
      "withRung: work is 1, not a function",
    );
    expect(() => withRung("softmax", "toString", () => 0)).toThrow("softmax has no rung toString");
    expect(() => withRung("softmx" as LadderName, "rows", () => 0)).toThrow(
      "withRung: there is no ladder softmx; there are attention, gelu, matmul, norm, positions, recurrent, softmax. Did you mean softmax?",
    );
  });
});
