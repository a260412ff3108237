import { device } from "./init.ts";
import type { Image, PooledBuffer } from "./pool.ts";

/** Texels in a row of an image, each of four f32: kernels have it as `WIDTH`. */
export const IMAGE_WIDTH = 4096;

const ROW_BYTES = 16 * IMAGE_WIDTH;

export const isImage = (value: unknown): value is Image =>
  typeof value === "object" && value !== null && "view" in value && "gpu" in value;

let nextId = 1;

function createImage(device: GPUDevice, bytes: number): Image {
  const gpu = device.createTexture({
    size: [IMAGE_WIDTH, bytes / ROW_BYTES],
    format: "rgba32float",
    usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
  });
  return { gpu, view: gpu.createView(), bytes, id: nextId++, batch: -1, suspects: undefined };
}

/**
 * `bytes` bytes of a buffer from `first` on, both multiples of 16, as an image: good until the next one of that name, for commands run in the order in which they
 * are recorded. There is one image for each name, as large as it had to be so far, until memory is trimmed.
 */
export function imageOf(name: string, buffer: PooledBuffer, { first, bytes }: { first: number; bytes: number }): Image {
  const current = device();
  const { pool, queue } = current;
  let image = pool.images.get(name);
  if (!image || image.bytes < bytes) {
    const size = Math.ceil(pool.sizeFor(bytes) / ROW_BYTES) * ROW_BYTES;
    current.makeRoom(size, name);
    pool.setImage(name, (image = createImage(current.gpu, size)));
  }
  const { gpu: texture } = image;
  const rows = Math.floor(bytes / ROW_BYTES);
  const rest = (bytes % ROW_BYTES) / 16;
  const source = { buffer: buffer.gpu, bytesPerRow: ROW_BYTES };
  queue.encode(buffer, image, (encoder) => {
    if (rows > 0) encoder.copyBufferToTexture({ ...source, offset: first }, { texture }, [IMAGE_WIDTH, rows]);
    if (rest > 0) {
      const offset = first + rows * ROW_BYTES;
      encoder.copyBufferToTexture({ ...source, offset }, { texture, origin: [0, rows] }, [rest, 1]);
    }
  });
  return image;
}
