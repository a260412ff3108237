import { check } from "@gpugrad/tensor";
import { openFile } from "#files";
import { byteSource, type ByteSource } from "../files/folder.ts";
import { decodeText, isObject, parseJsonObject } from "../files/json.ts";
import { bytesOf, dtypes, type SafetensorsDtype } from "./dtypes.ts";

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
  /** Names of all tensors. */
  keys(): string[];
  /** Whether there is a tensor of this name. */
  has(key: string): boolean;
  /** Dtype and shape of a tensor. @throws {@link GpugradError} when there is no such key. */
  info(key: string): TensorInfo;
  /** Reads one tensor; nothing of it is kept. @throws {@link GpugradError} when there is no such key. */
  read(key: string): Promise<TensorBytes>;
  /** Closes the file; it can't be read afterwards. */
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
  const wanted = bytesOf(dtype as SafetensorsDtype, shape);
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
