import { afterEach, describe, expect, test } from "vitest";
import { autocast } from "../autocast.ts";
import { dryRun } from "../dry-run.ts";
import { fromArray } from "../factories.ts";
import { destroy, device, init } from "../runtime/init.ts";
import { scope } from "../scope.ts";
import { empty } from "../tensor.ts";
import { scaledDotProductAttention } from "./attention/attention.ts";
import { full } from "./create/create.ts";
import { add } from "./elementwise/binary.ts";
import { embedding } from "./embedding/embedding.ts";
import { argmax } from "./reduce/extremes.ts";
import { sum } from "./reduce/sum.ts";
import { slice } from "./shape/slice.ts";

afterEach(destroy);

describe("sizes at a limit", () => {
  test("tensors as large as a binding are computed with", async () => {
    const { gpu } = await init();
    // An adapter that binds gigabytes is not to be filled.
    const elements = Math.min(gpu.limits.maxStorageBufferBindingSize, 2 ** 27) / 4;
    const { total, end } = scope(() => {
      const y = add(full([elements], 0.5), 1);
      return { total: sum(y), end: slice(y, [[elements - 3]]) };
    });
    expect(await total.item()).toBe(1.5 * elements);
    expect(await end.toArray()).toEqual([1.5, 1.5, 1.5]);
  });

  // f16 has every whole number up to 2,048, and only every second one beyond.
  test("ids and indices are whole numbers under autocast too", async () => {
    await init();
    const count = 30_522;
    const ids = [2047, 2048, 2049, 4097, 16_383, 30_521];
    const rows = autocast(() =>
      embedding(
        fromArray(
          Float32Array.from({ length: count }, (_, i) => i),
          [count, 1],
        ),
        fromArray(ids, [6], "i32"),
      ),
    );
    expect(await rows.toArray()).toEqual(ids.map((id) => [id]));
    const hot = new Float32Array(2 * count);
    hot[2049] = hot[count + 30_521] = 1;
    expect(await autocast(() => argmax(fromArray(hot, [2, count]), { dim: 1 })).toArray()).toEqual([2049, 30_521]);
  });

  test("attention refuses dropout of more scores than its random numbers can be counted by", async () => {
    await init();
    const call = (tokens: number) => () =>
      dryRun(() => {
        const q = empty([4, 1, tokens, 4]);
        return scope(() => void scaledDotProductAttention(q, q, q, { dropoutP: 0.1 }));
      });
    expect(call(2 ** 15)).not.toThrow();
    expect(call(2 ** 15 + 1)).toThrow(
      "scaledDotProductAttention: dropout of 4295229444 scores, but their random numbers are counted in 32 bits: at most 4294967296. " +
        "Use a smaller batch, shorter texts or no dropout.",
    );
    expect(device().failed).toBe(false);
  });
});
