import type { Device } from "./device.ts";
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

const images = new WeakMap<Device, Map<string, Image>>();

/** Images of a device by name. They are given back before memory is refused. */
function imagesOf(device: Device): Map<string, Image> {
  let own = images.get(device);
  if (!own) {
    const made = new Map<string, Image>();
    images.set(device, (own = made));
    device.reclaimers.add(() => {
      for (const { bytes } of made.values()) device.pool.countScratch(-bytes);
      made.clear();
    });
  }
  return own;
}

/**
 * `bytes` bytes of a buffer from `first` on, both multiples of 16, as an image: good until the next one of that name, for commands run in the order in which they
 * are recorded. There is one image for each name, as large as it had to be so far.
 */
export function imageOf(name: string, buffer: PooledBuffer, { first, bytes }: { first: number; bytes: number }): Image {
  const current = device();
  const { pool, queue } = current;
  const own = imagesOf(current);
  let image = own.get(name);
  if (!image || image.bytes < bytes) {
    const size = Math.ceil(pool.sizeFor(bytes) / ROW_BYTES) * ROW_BYTES;
    current.makeRoom(size, name);
    pool.countScratch(size - (own.get(name)?.bytes ?? 0)); // the smaller one isn't destroyed: a recording may hold it
    own.set(name, (image = createImage(current.gpu, size)));
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
