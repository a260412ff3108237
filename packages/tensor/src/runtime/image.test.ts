import { describe, expect, test } from "vitest";
import { fromArray } from "../factories.ts";
import { arange, zeros } from "../ops/create/create.ts";
import { memoryByOwner } from "../storage.ts";
import { empty } from "../tensor.ts";
import { withDevice } from "../testing/check-op.ts";
import { IMAGE_WIDTH, imageOf } from "./image.ts";
import { device } from "./init.ts";
import { kernel } from "./kernel.ts";
import type { Image } from "./pool.ts";
import { record } from "./recording.ts";
import { run } from "./run.ts";

const copyKernel = kernel(
  "copy.wgsl",
  `struct Params { count: u32 }
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.count) { y[id.x] = textureLoad(x, vec2u(id.x % ${IMAGE_WIDTH}u, id.x / ${IMAGE_WIDTH}u)); }
}`,
);

const TEXELS = 2 * IMAGE_WIDTH + 3; // two rows and a rest
const OWNER = "images of operands";

/** What an image holds. */
function read(image: Image, texels: number) {
  const y = empty([4 * texels]);
  run(copyKernel, { x: image, y }, { count: texels }, { workgroups: [Math.ceil(texels / 64), 1] });
  return y;
}

describe("images", () => {
  withDevice();

  test("hold what a tensor has, from an element on", async () => {
    const x = arange(4 * TEXELS + 8);
    const image = imageOf("x", x.buffer, { first: 32, bytes: 16 * TEXELS });
    const got = await read(image, TEXELS).data();
    expect(got.findIndex((value, i) => value !== i + 8)).toBe(-1);
  });

  test("of a name are one, made larger where that is needed, and counted", () => {
    const [small, large] = [zeros([16]), zeros([4 * TEXELS])];
    const whole = (x: typeof small) => ({ first: 0, bytes: 4 * x.size });
    device().trim();
    const before = device().pool.allocatedBytes;
    const first = imageOf("x", small.buffer, whole(small));
    expect(imageOf("x", small.buffer, whole(small))).toBe(first);
    const second = imageOf("x", large.buffer, whole(large));
    expect(second).not.toBe(first);
    expect(imageOf("x", small.buffer, whole(small))).toBe(second);
    expect(memoryByOwner()[OWNER]!.bytes).toBe(second.bytes);
    expect(device().pool.allocatedBytes).toBe(before + second.bytes);
    device().trim();
    expect(memoryByOwner()[OWNER]).toBeUndefined();
    expect(device().pool.allocatedBytes).toBe(before);
  });

  test("are filled again by a replay", async () => {
    const x = fromArray([1, 2, 3, 4], [4]);
    const { result, recording } = record(() => read(imageOf("x", x.buffer, { first: 0, bytes: 16 }), 1));
    imageOf("x", zeros([4]).buffer, { first: 0, bytes: 16 });
    x.write([5, 6, 7, 8]);
    recording.replay();
    expect(await result.data()).toEqual(new Float32Array([5, 6, 7, 8]));
    recording.dispose();
  });

  test("aren't tensors, nor tensors images", () => {
    const x = zeros([4]);
    const image = imageOf("x", x.buffer, { first: 0, bytes: 16 });
    expect(() => run(copyKernel, { x, y: empty([4]) }, { count: 1 }, { threads: 1 })).toThrow(
      /^copy.wgsl: binding x is given Tensor\(.*\), not an image\.$/,
    );
    expect(() => run(copyKernel, { x: image, y: image }, { count: 1 }, { threads: 1 })).toThrow("not a tensor");
    expect(() => kernel("other.wgsl", copyKernel.code.replace("rgba32float", "r32float"))).toThrow(
      "other.wgsl: x is texture_storage_2d<r32float, read>. Kernels take buffers, and images: texture_storage_2d<rgba32float, read>.",
    );
  });
});
