import { describe, expect, test } from "vitest";
import { tensor } from "../../factories.ts";
import { checkOp, withDevice } from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { zeros } from "../create/create.ts";
import { interpolate, type InterpolateOptions } from "./interpolate.ts";

/** Each dimension's outputs as shares of those of x's elements that they read. */
function shares(n: number, asked: number, { size, mode, alignCorners }: InterpolateOptions): Map<number, number>[] {
  const out = size === undefined ? Math.floor(n * asked) : asked;
  const step = alignCorners ? (n - 1) / Math.max(1, out - 1) : size === undefined ? 1 / asked : n / out;
  return Array.from({ length: out }, (_, o) => {
    const row = new Map<number, number>();
    if (mode === "bilinear") {
      const at = Math.max(0, alignCorners ? o * step : (o + 0.5) * step - 0.5);
      const first = Math.min(Math.floor(at), n - 1);
      const next = Math.min(first + 1, n - 1);
      row.set(first, next === first ? 1 : 1 - (at - first));
      if (next > first) row.set(next, at - first);
    } else row.set(Math.min(n - 1, Math.floor((mode === "nearest-exact" ? o + 0.5 : o) * step)), 1);
    return row;
  });
}

function reference(x: NdArray, options: InterpolateOptions): NdArray {
  const [N, C, H, W] = x.shape as [number, number, number, number];
  const asked = (options.size ?? options.scaleFactor) as [number, number];
  const [rows, columns] = [shares(H, asked[0], options), shares(W, asked[1], options)];
  const values: number[] = [];
  for (let plane = 0; plane < N * C; plane++)
    for (const row of rows)
      for (const column of columns) {
        let sum = 0;
        row.forEach((a, i) => column.forEach((b, j) => (sum += a * b * x.data[(plane * H + i) * W + j]!)));
        values.push(sum);
      }
  return ndArray([N, C, rows.length, columns.length], values);
}

const shapes = [[2, 2, 5, 4]];
checkOp(interpolate, reference, {
  cases: [
    { shapes, args: [{ size: [9, 11] }] },
    { shapes, args: [{ scaleFactor: [2, 0.5] }] },
    { shapes, args: [{ size: [3, 7], mode: "nearest-exact" }] },
    { shapes, args: [{ size: [9, 11], mode: "bilinear" }] },
    { shapes, args: [{ size: [2, 3], mode: "bilinear" }] },
    { shapes, args: [{ scaleFactor: [1.7, 1.7], mode: "bilinear" }] },
    { shapes, args: [{ size: [9, 2], mode: "bilinear", alignCorners: true }] },
    { shapes, args: [{ size: [1, 1], mode: "bilinear", alignCorners: true }] },
  ],
});

describe("interpolate", () => {
  withDevice();

  test("of one dimension", async () => {
    const line = tensor([[[0, 2, 4]]]);
    expect(await interpolate(line, { size: 6, mode: "linear" }).toArray()).toEqual([[[0, 0.5, 1.5, 2.5, 3.5, 4]]]);
    expect(await interpolate(line, { scaleFactor: 2 }).toArray()).toEqual([[[0, 0, 2, 2, 4, 4]]]);
  });

  test("refuses what makes no sense", () => {
    const x = zeros([1, 1, 4, 4]);
    expect(() => interpolate(x, {})).toThrow("interpolate: give one of size and scaleFactor");
    expect(() => interpolate(x, { size: 3, mode: "linear" })).toThrow(
      'interpolate: mode linear for [1,1,4,4]; "linear" is for',
    );
    expect(() => interpolate(x, { size: 2.5 })).toThrow("interpolate: size [2.5,2.5]");
    expect(() => interpolate(x, { size: 3, alignCorners: true })).toThrow("alignCorners with mode nearest");
  });
});
