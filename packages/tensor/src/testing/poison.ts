import type { Device } from "../runtime/device.ts";

/** Bytes behind each buffer: more than a row, or a tile of rows, of what is tested. */
const TAIL = 32 * 1024;

/** A NaN as no kernel makes it. */
const POISON = 0x7fc5a5a5;

/**
 * From now on each new buffer of the device is full of NaN, as the pool's old ones are full of old numbers, and is followed by more
 * of it: what a kernel reads beyond the end is NaN, and not what bounds checks would put there. Where nothing changes what comes out, no
 * result depends on those checks. (A read whose value is thrown away is not noticed.)
 * @returns checks that nothing was written behind the end of any buffer, and throws otherwise
 */
export function poison({ gpu, queue }: Device): () => Promise<void> {
  const poisoned = new Set<GPUBuffer>();
  const createBuffer = gpu.createBuffer.bind(gpu);
  gpu.createBuffer = (descriptor) => {
    const { size, usage, mappedAtCreation } = descriptor;
    const whole = size + TAIL;
    // Mapped ones are uploads of many megabytes: their maker fills them.
    if (!(usage & GPUBufferUsage.STORAGE) || mappedAtCreation || whole > gpu.limits.maxStorageBufferBindingSize)
      return createBuffer(descriptor);
    const buffer = createBuffer({ ...descriptor, size: whole, mappedAtCreation: true });
    new Uint32Array(buffer.getMappedRange()).fill(POISON);
    buffer.unmap();
    poisoned.add(buffer);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      poisoned.delete(buffer);
      destroy();
      return undefined;
    };
    return buffer;
  };
  return async () => {
    queue.flush();
    const buffers = [...poisoned];
    if (buffers.length === 0) return;
    const tails = createBuffer({
      size: TAIL * buffers.length,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    });
    const encoder = gpu.createCommandEncoder();
    buffers.forEach((buffer, i) => encoder.copyBufferToBuffer(buffer, buffer.size - TAIL, tails, i * TAIL, TAIL));
    gpu.queue.submit([encoder.finish()]);
    await tails.mapAsync(GPUMapMode.READ);
    const words = new Uint32Array(tails.getMappedRange());
    const at = words.findIndex((word) => word !== POISON);
    tails.destroy();
    if (at < 0) return;
    const { size } = buffers[Math.floor((4 * at) / TAIL)]!;
    throw new Error(
      `a kernel wrote ${(4 * at) % TAIL} bytes behind the end of a buffer of ${size - TAIL} bytes: only WebGPU's bounds checks would keep it inside.`,
    );
  };
}
