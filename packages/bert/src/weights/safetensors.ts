import { openFile, writeFileAside } from "#platform";
import { check } from "../errors.ts";
import { byteSource, type ByteSource, type Folder } from "../files/folder.ts";
import { decodeText, isObject, parseJsonObject, readJson } from "../files/json.ts";

/** Bits of one element, by the name that a safetensors header gives the type. The order is the writer's: last comes first. */
const dtypeBits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** Element types that this reader and writer know. */
export type SafetensorsDtype = keyof typeof dtypeBits;

const dtypes = Object.keys(dtypeBits) as SafetensorsDtype[];

/** Bytes of a tensor; not an integer where small elements do not fill the last byte. */
const sizeOf = (dtype: SafetensorsDtype, shape: readonly number[]): number =>
  shape.reduce((a, b) => a * b, dtypeBits[dtype]) / 8;

/** What the header says about a tensor. */
export interface TensorInfo {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** A tensor as it lies in the file: little-endian, row-major; `bytes` starts a buffer of its own, so typed arrays fit on it. */
export interface TensorBytes {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Named tensors that are read one by one: a single file, or several shards behind one index. */
export interface SafetensorsReader {
  /** What error messages call it. */
  readonly name: string;
  /** The header's `__metadata__`, `{ format: "pt" }` in files that Transformers writes. */
  readonly metadata: Readonly<Record<string, string>>;
  keys(): string[];
  has(key: string): boolean;
  /** @throws {@link GpugradError} when there is no such key. */
  info(key: string): TensorInfo;
  /** Reads one tensor; nothing of it is kept. @throws {@link GpugradError} when there is no such key. */
  read(key: string): Promise<TensorBytes>;
  close(): Promise<void>;
}

interface Entry extends TensorInfo {
  begin: number; // in bytes after the header
}

/** Rust's safetensors refuses longer headers too: a length that large is a damaged file. */
const maxHeaderLength = 100_000_000;

/**
 * A safetensors file: 8 bytes header length (little-endian), a JSON header, then the tensors without gaps.
 * Opening reads and checks the header only; {@link read} fetches one tensor at a time.
 *
 * @see https://github.com/huggingface/safetensors#format
 */
export class SafetensorsFile implements SafetensorsReader {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #source: ByteSource;
  readonly #entries: Map<string, Entry>;
  readonly #dataStart: number;

  private constructor(
    source: ByteSource,
    entries: Map<string, Entry>,
    metadata: Record<string, string>,
    dataStart: number,
  ) {
    this.name = source.name;
    this.metadata = metadata;
    this.#source = source;
    this.#entries = entries;
    this.#dataStart = dataStart;
  }

  /**
   * Opens a path (in Node), bytes in memory, a Blob, or any {@link ByteSource}.
   *
   * @throws {@link GpugradError} naming file and key: truncated, header longer than the file or not JSON, a key twice, an
   * unknown dtype, offsets that overlap, leave gaps or end beyond the file, a shape that does not fit its bytes.
   */
  static async open(from: string | Blob | ArrayBuffer | Uint8Array | ByteSource): Promise<SafetensorsFile> {
    const source =
      typeof from === "string"
        ? await openFile(from)
        : from instanceof Blob || from instanceof ArrayBuffer || from instanceof Uint8Array
          ? byteSource(from)
          : from;
    try {
      const { name, size } = source;
      check(size >= 8, () => `${name}: not a safetensors file: ${size} bytes, and the header's length alone takes 8.`);
      const length = Number(new DataView((await source.read(0, 8)).buffer).getBigUint64(0, true));
      check(
        length <= maxHeaderLength && 8 + length <= size,
        () =>
          `${name}: header longer than the file: ${length} bytes in a file of ${size}. Truncated, or not safetensors?`,
      );
      const header = decodeText(await source.read(8, length), `${name}: header`);
      const { entries, metadata } = parseHeader(header, name, size - 8 - length);
      return new SafetensorsFile(source, entries, metadata, 8 + length);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  keys(): string[] {
    return [...this.#entries.keys()];
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  info(key: string): TensorInfo {
    const { dtype, shape, byteLength } = this.#entry(key);
    return { dtype, shape, byteLength };
  }

  async read(key: string): Promise<TensorBytes> {
    const { dtype, shape, begin, byteLength } = this.#entry(key);
    return { dtype, shape, bytes: await this.#source.read(this.#dataStart + begin, byteLength) };
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #entry(key: string): Entry {
    const entry = this.#entries.get(key);
    check(
      entry,
      () =>
        `${this.name}: no tensor "${key}". There are ${this.#entries.size}: ${this.keys().slice(0, 5).join(", ")} …`,
    );
    return entry;
  }
}

function parseHeader(
  header: string,
  file: string,
  dataLength: number,
): { entries: Map<string, Entry>; metadata: Record<string, string> } {
  const { __metadata__, ...tensors } = parseJsonObject(header, `${file}: header`);
  const metadata = __metadata__ ?? {};
  refuseDuplicateKeys(header, file);
  check(
    isObject(metadata) && Object.values(metadata).every((v) => typeof v === "string"),
    () => `${file}: __metadata__ maps names to strings, found ${JSON.stringify(metadata).slice(0, 80)}`,
  );
  const entries = new Map(Object.entries(tensors).map(([key, value]) => [key, parseEntry(value, `${file}: ${key}`)]));

  let end = 0;
  let previous = "the header";
  for (const [key, { begin, byteLength }] of [...entries].sort(
    ([, a], [, b]) => a.begin - b.begin || a.byteLength - b.byteLength,
  )) {
    check(
      begin === end,
      () =>
        `${file}: ${key}: ${begin < end ? "overlaps" : "leaves a gap after"} ${previous}: starts at ${begin}, ${previous} ends at ${end}.`,
    );
    end = begin + byteLength;
    check(
      end <= dataLength,
      () => `${file}: ${key}: ends at byte ${end} of ${dataLength}. The file is truncated: fetch or copy it again.`,
    );
    previous = key;
  }
  check(
    end === dataLength,
    () => `${file}: ${dataLength - end} bytes after the last tensor (${previous}). Is the file damaged?`,
  );
  return { entries, metadata: metadata as Record<string, string> };
}

function parseEntry(value: unknown, where: string): Entry {
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  const brief = (part: unknown) => JSON.stringify(part)?.slice(0, 80);
  check(
    dtypes.includes(dtype as SafetensorsDtype),
    () => `${where}: unknown dtype ${brief(dtype)}. Known: ${dtypes.join(", ")}.`,
  );
  check(isSizes(shape), () => `${where}: shape ${brief(shape)} is not a list of sizes.`);
  check(
    isSizes(offsets) && offsets.length === 2 && offsets[0]! <= offsets[1]!,
    () => `${where}: data_offsets ${brief(offsets)} are not [begin, end].`,
  );
  const byteLength = offsets[1]! - offsets[0]!;
  const wanted = sizeOf(dtype as SafetensorsDtype, shape);
  check(
    wanted === byteLength,
    () => `${where}: ${String(dtype)} [${shape.join(", ")}] takes ${wanted} bytes, data_offsets hold ${byteLength}.`,
  );
  return { dtype: dtype as SafetensorsDtype, shape, begin: offsets[0]!, byteLength };
}

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && v >= 0);

/**
 * `JSON.parse` keeps the last of two equal keys silently; two tensors of one name mean a damaged file. (In the metadata the last one
 * counts, as in the safetensors library.)
 *
 * @param json Valid JSON, whose strings may be too long for a regular expression.
 */
function refuseDuplicateKeys(json: string, file: string): void {
  const seen: Set<string>[] = []; // of the objects that enclose the current place
  let tensor = "";
  for (let i = 0; i < json.length; i++) {
    const character = json[i]!;
    if (character === "{") seen.push(new Set());
    else if (character === "}") seen.pop();
    if (character !== '"') continue;
    const start = i;
    for (i++; json[i] !== '"'; i++) if (json[i] === "\\") i++;
    const end = i + 1;
    while (json[i + 1] !== undefined && " \t\n\r".includes(json[i + 1]!)) i++;
    if (json[i + 1] !== ":" || (seen.length > 1 && tensor === "__metadata__")) continue;
    const key = JSON.parse(json.slice(start, end)) as string;
    if (seen.length === 1) tensor = key;
    check(!seen.at(-1)!.has(key), () => `${file}: the header has "${key.slice(0, 80)}" twice.`);
    seen.at(-1)!.add(key);
  }
}

/**
 * Opens a model's weights: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
 * The headers of all shards are read and checked; tensors are read from their shard when asked for.
 *
 * @throws {@link GpugradError} when the folder has neither, a shard or a key in it is missing, or the tensors are not as large together
 * as the index says.
 */
export async function openWeights(folder: Folder, basename = "model"): Promise<SafetensorsReader> {
  const single = await folder.open(`${basename}.safetensors`);
  if (single) return SafetensorsFile.open(single);

  const indexName = `${basename}.safetensors.index.json`;
  const index = await readJson(folder, indexName);
  if (!index) {
    const other = await findFile(folder, ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"]); // prettier-ignore
    check(
      false,
      `${folder.name}: no weights: neither ${basename}.safetensors nor ${indexName}` +
        `${other ? `, but ${other}` : ""}. Only safetensors is read; ` +
        "Python's Transformers converts: AutoModel.from_pretrained(…).save_pretrained(…).",
    );
  }
  const where = `${folder.name}/${indexName}`;
  const weightMap = index["weight_map"];
  check(
    isObject(weightMap) && Object.values(weightMap).every((v) => typeof v === "string"),
    () => `${where}: weight_map: expected the name of a file for each tensor.`,
  );
  const shardOf = new Map(Object.entries(weightMap as Record<string, string>));
  const shards = new Map<string, SafetensorsFile>();
  const close = async () => void (await Promise.all([...shards.values()].map((shard) => shard.close())));
  try {
    for (const file of new Set(shardOf.values())) {
      check(
        /^[^/\\:\0]+$/.test(file) && file !== "." && file !== "..",
        () => `${where}: shard ${JSON.stringify(file).slice(0, 80)} is not the name of a file in the folder.`,
      );
      const source = await folder.open(file);
      check(source, () => `${where}: shard ${file} is missing from ${folder.name}. Fetch or copy it as well.`);
      shards.set(file, await SafetensorsFile.open(source));
    }
    for (const [key, file] of shardOf)
      check(shards.get(file)?.has(key), () => `${where}: ${key} is not in ${file}, where the index says it is.`);
    const total = isObject(index["metadata"]) ? index["metadata"]["total_size"] : undefined;
    const size = [...shardOf].reduce((sum, [key, file]) => sum + shards.get(file)!.info(key).byteLength, 0);
    check(
      total === undefined || total === size,
      () =>
        `${where}: metadata.total_size is ${JSON.stringify(total).slice(0, 80)}, and the tensors take ${size} bytes. ` +
        "Are the shards of one save? If so, leave total_size out of the index.",
    );
  } catch (error) {
    await close();
    throw error;
  }

  const shard = (key: string) => {
    const file = shards.get(shardOf.get(key) ?? "");
    check(file, () => `${where}: no tensor "${key}".`);
    return file;
  };
  return {
    name: where,
    metadata: [...shards.values()][0]?.metadata ?? {},
    keys: () => [...shardOf.keys()],
    has: (key) => shardOf.has(key),
    info: (key) => shard(key).info(key),
    read: async (key) => shard(key).read(key),
    close,
  };
}

/** The first of `files` that is there. */
async function findFile(folder: Folder, files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const source = await folder.open(file);
    await source?.close();
    if (source) return file;
  }
  return undefined;
}

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
    end += sizeOf(dtype, shape);
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
    const wanted = sizeOf(dtype, shape);
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

/**
 * A tensor's bytes as float32: F32 without a copy, F16 and BF16 exactly, F64 rounded to nearest, integers up to 32 bits.
 *
 * @throws {@link GpugradError} for 64-bit integers: see {@link toInt32}.
 */
export function toFloat32(dtype: SafetensorsDtype, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const buffer = ownBuffer(bytes);
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F16": {
      const table = (float32BitsOfHalf ??= makeHalfTable());
      return widen(new Uint16Array(buffer), (half) => table[half]!);
    }
    case "BF16":
      return widen(new Uint16Array(buffer), (half) => half << 16);
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    default:
      check(!/64$/.test(dtype), () => `safetensors: ${dtype} does not fit float32. Read it as integers.`);
      return Float32Array.from(smallIntegers(dtype, buffer));
  }
}

/**
 * A tensor of integers or booleans as int32.
 *
 * @throws {@link GpugradError} for a value outside of int32's range, naming it, and for floating-point dtypes.
 */
export function toInt32(dtype: SafetensorsDtype, bytes: Uint8Array): Int32Array<ArrayBuffer> {
  const buffer = ownBuffer(bytes);
  const values =
    dtype === "I64"
      ? new BigInt64Array(buffer)
      : dtype === "U64"
        ? new BigUint64Array(buffer)
        : smallIntegers(dtype, buffer);
  const out = new Int32Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const value = Number(values[i]);
    out[i] = value;
    check(out[i] === value, () => `safetensors: ${dtype} value ${values[i]} at index ${i} does not fit int32.`);
  }
  return out;
}

/** A buffer that holds `bytes` and nothing else, so that any typed array fits on it. */
const ownBuffer = (bytes: Uint8Array): ArrayBuffer =>
  bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
    ? bytes.buffer
    : bytes.slice().buffer;

function smallIntegers(dtype: SafetensorsDtype, buffer: ArrayBuffer): ArrayLike<number> & Iterable<number> {
  switch (dtype) {
    case "I32":
      return new Int32Array(buffer);
    case "U32":
      return new Uint32Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "U16":
      return new Uint16Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    case "U8":
    case "BOOL":
      return new Uint8Array(buffer);
    default:
      return check(false, `safetensors: ${dtype} is not an integer dtype, and is not converted.`) as never;
  }
}

function widen(halves: Uint16Array, float32Bits: (half: number) => number): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < bits.length; i++) bits[i] = float32Bits(halves[i]!);
  return new Float32Array(bits.buffer);
}

let float32BitsOfHalf: Uint32Array | undefined;

/** float32 bits of each of the 65,536 float16. A float16 subnormal is a normal float32; NaN keeps its payload. */
function makeHalfTable(): Uint32Array {
  const number = new Float32Array(1);
  const bits = new Uint32Array(number.buffer);
  return Uint32Array.from({ length: 65536 }, (_, half) => {
    const exponent = (half >> 10) & 31;
    const fraction = half & 0x3ff;
    number[0] = fraction * 2 ** -24;
    const magnitude = exponent === 0 ? bits[0]! : ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
    return ((half & 0x8000) << 16) | magnitude;
  });
}
