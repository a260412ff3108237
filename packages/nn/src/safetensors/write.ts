import { check } from "@gpugrad/tensor";
import { writeFileAside } from "#files";
import { bytesOf, dtypes, type SafetensorsDtype } from "./dtypes.ts";

/** A tensor to write. `bytes` may be a function, called when its turn has come, so that only one tensor is in memory. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array | (() => Uint8Array | Promise<Uint8Array>);
}

/**
 * The bytes of a safetensors file, piece by piece: header, then each tensor. The layout is that of Hugging Face's own
 * writer: tensors by falling dtype, then by name, and a header padded with spaces to a multiple of 8 bytes.
 *
 * @throws {@link GpugradError} when a name comes twice or a tensor has more or fewer bytes than its shape.
 * @see https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs `prepare`
 */
export async function* serializeSafetensors(
  tensors: Iterable<TensorToWrite>,
  metadata: Record<string, string> = { format: "pt" },
): AsyncGenerator<Uint8Array> {
  const sorted = [...tensors].sort(
    (a, b) => dtypes.indexOf(b.dtype) - dtypes.indexOf(a.dtype) || (a.name < b.name ? -1 : 1),
  );
  const header = new Map<string, unknown>(Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : []);
  let end = 0;
  for (const { name, dtype, shape } of sorted) {
    check(name !== "__metadata__" && !header.has(name), () => `safetensors: cannot write two tensors named "${name}".`);
    const begin = end;
    end += bytesOf(dtype, shape);
    header.set(name, { dtype, shape, data_offsets: [begin, end] });
  }
  // Entry by entry: an object would move keys that look like numbers to the front.
  const json = [...header].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",");
  const text = new TextEncoder().encode(`{${json}}`);
  const start = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true);
  start.set(text, 8);
  yield start;

  for (const { name, dtype, shape, bytes } of sorted) {
    const data = typeof bytes === "function" ? await bytes() : bytes;
    const wanted = bytesOf(dtype, shape);
    check(
      data.byteLength === wanted,
      () => `safetensors: ${name}: ${dtype} [${shape.join(", ")}] takes ${wanted} bytes, got ${data.byteLength}.`,
    );
    yield data;
  }
}

/**
 * Writes a safetensors file (in Node): aside first, then renamed, so that no reader ever sees half a file.
 *
 * @throws {@link GpugradError} as {@link serializeSafetensors} does; the file at `path` is then as it was.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata?: Record<string, string>,
): Promise<void> {
  return writeFileAside(path, serializeSafetensors(tensors, metadata));
}
