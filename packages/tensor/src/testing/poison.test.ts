import { afterAll, beforeAll, expect, test } from "vitest";
import { destroy, device, init } from "../runtime/init.ts";
import { kernel } from "../runtime/kernel.ts";
import { run } from "../runtime/run.ts";
import { empty } from "../tensor.ts";
import { poison } from "./poison.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const writer = kernel(
  "writer.wgsl",
  `struct Params { first: u32, source: u32 }
  @group(0) @binding(0) var<storage, read_write> x: array<f32>;
  @group(0) @binding(1) var<uniform> params: Params;
  @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {
    x[params.first + id.x] = x[params.source + id.x] + 1.0;
  }`,
);

test("a write behind a buffer's end is noticed, and what lies there is NaN", async () => {
  const check = poison(device());
  const x = empty([64]); // 256 bytes, the least a buffer has
  const write = (first: number, source: number) => run(writer, { x }, { first, source }, { threads: 4 });
  x.write(new Float32Array(64));
  write(60, 0);
  await check();
  expect(Array.from((await x.data()).slice(-4))).toEqual([1, 1, 1, 1]);
  write(8, 62);
  expect(Array.from((await x.data()).slice(8, 12), Number)).toEqual([2, 2, NaN, NaN]);
  expect(Array.from(await empty([3]).data(), Number), "new memory").toEqual([NaN, NaN, NaN]);
  await check();
  write(70, 0);
  await expect(check()).rejects.toThrow("a kernel wrote 24 bytes behind the end of a buffer of 256 bytes");
});
