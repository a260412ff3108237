import { describe, expect, test } from "vitest";
import { log } from "./ops/elementwise/unary.ts";
import { cast } from "./ops/cast/cast.ts";
import { full, zeros } from "./ops/create/create.ts";
import { embedding } from "./ops/embedding/embedding.ts";
import { softmax } from "./ops/softmax/softmax.ts";
import { debug } from "./numerics.ts";
import { scope } from "./scope.ts";
import { fromArray, tensor, undisposed } from "./tensor.ts";
import { withDevice } from "./testing/check-op.ts";

describe("debug({ checkNumerics })", () => {
  withDevice();

  test("names the first op that produced infinity, with its inputs", async () => {
    debug({ checkNumerics: true });
    const before = undisposed();
    const y = scope(() => softmax(log(tensor([[0, 0.5], [3, 2]])))); // prettier-ignore
    const message = await y.data().then(
      () => "",
      (error: Error) => error.message,
    );
    expect(message).toContain("checkNumerics: log is the first op that produced infinity:");
    expect(message).toContain("result: f32 [2,2] made by log: 0 NaN, 1 infinite, 3 finite from -0.693147 to 1.09861");
    expect(message).toContain("input 1: f32 [2,2] made by user: 0 NaN, 0 infinite, 4 finite from 0 to 3");
    await y.data(); // told once
    y.dispose();
    expect(undisposed()).toBe(before);
    debug({ checkNumerics: false });
  });

  test("infinity and NaN of the caller's own are no finding, and finite results none either", async () => {
    debug({ checkNumerics: true });
    await softmax(tensor([[-Infinity, 1, 2]])).data();
    await log(full([3], NaN)).data();
    await softmax(full([2, 3], 5)).data();
    debug({ checkNumerics: false });
    await log(zeros([2])).data();
  });

  test("NaN from an infinite input; an index out of range; a half that overflows", async () => {
    debug({ checkNumerics: true });
    await expect(softmax(full([1, 3], -Infinity)).data()).rejects.toThrow("softmax is the first op that produced NaN");
    const ids = fromArray([2, -1], [2], "i32");
    await expect(embedding(zeros([3, 4]), ids).data()).rejects.toThrow(
      /embedding is .*\n.*4 NaN, 0 infinite, 4 finite from 0 to 0\n.*\n.*i32 \[2\] made by user: 2 numbers from -1 to 2\nAn index/,
    );
    await expect(cast(tensor([1, 7e4, -2]), "f16").data()).rejects.toThrow("1 infinite, 2 finite from -2 to 1");
    debug({ checkNumerics: false });
  });

  test("more ops than a log holds", async () => {
    debug({ checkNumerics: true });
    const x = tensor([0.5]);
    scope(() => void log(zeros([1])));
    for (let i = 0; i < 4100; i++) scope(() => void log(x));
    await expect(x.data()).rejects.toThrow("log is the first op that produced infinity");
    debug({ checkNumerics: false });
  });
});
