import type { Bound } from "./pool.ts";

/** Texels in a row of an image, each of four f32: kernels have it as `WIDTH`. */
export const IMAGE_WIDTH = 4096;

const ROW_BYTES = 16 * IMAGE_WIDTH;

/**
 * Elements of a tensor in a texture, four to a texel, row after row. Drivers that compute on the CPU load from a texture what eight lanes ask for at once,
 * where they load from a buffer lane by lane and number by number: a sixth of the instructions.
 */
export interface Image extends Bound {
  readonly gpu: GPUTexture;
  readonly view: GPUTextureView;
}

export const isImage = (value: unknown): value is Image =>
  typeof value === "object" && value !== null && "view" in value && "gpu" in value;

/** Bytes of the image that `bytes` would get: whole rows. */
export const imageBytes = (bytes: number): number => Math.ceil(bytes / ROW_BYTES) * ROW_BYTES;

let nextId = 1;

export function createImage(device: GPUDevice, bytes: number): Image {
  const gpu = device.createTexture({
    size: [IMAGE_WIDTH, bytes / ROW_BYTES],
    format: "rgba32float",
    usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
  });
  return { gpu, view: gpu.createView(), bytes, id: nextId++, batch: -1, suspects: undefined };
}

/** Copies bytes of a buffer, from `first` on, both multiples of 16, to the beginning of an image: its whole rows, then what is left. */
export function copyToImage(
  encoder: GPUCommandEncoder,
  { buffer, first, bytes }: { buffer: GPUBuffer; first: number; bytes: number },
  image: Image,
): void {
  const rows = Math.floor(bytes / ROW_BYTES);
  const rest = (bytes % ROW_BYTES) / 16;
  const source = { buffer, bytesPerRow: ROW_BYTES };
  if (rows > 0) encoder.copyBufferToTexture({ ...source, offset: first }, { texture: image.gpu }, [IMAGE_WIDTH, rows]);
  if (rest > 0)
    encoder.copyBufferToTexture(
      { ...source, offset: first + rows * ROW_BYTES },
      { texture: image.gpu, origin: [0, rows] },
      [rest, 1],
    );
}
