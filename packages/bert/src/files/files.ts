import { check, GpugradError } from "../errors.ts";

/** Bytes that can be read from any place: a file on disk, a Blob, or memory. */
export interface ByteSource {
  /** What error messages call it: a path, an address, or a name that the caller chose. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Copies `length` bytes from `offset` on. @throws {@link GpugradError} when the source is shorter than that. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** The files of one model, tokenizer or dataset: a local folder, a repository of the Hub, or files that a page was given. */
export interface Folder {
  /** What the user asked for: a path or a repository id. */
  readonly name: string;
  /** Opens a file of the folder; undefined when the folder has no such file. */
  open(file: string): Promise<ByteSource | undefined>;
}

/** Bytes in memory, or a Blob (a file that a page was given), as a {@link ByteSource}. */
export function byteSource(content: Blob | ArrayBuffer | Uint8Array | string, name = "bytes in memory"): ByteSource {
  const data =
    typeof content === "string"
      ? new TextEncoder().encode(content)
      : content instanceof ArrayBuffer
        ? new Uint8Array(content)
        : content;
  const size = data instanceof Blob ? data.size : data.length;
  return {
    name,
    size,
    async read(offset, length) {
      const end = offset + length;
      check(end <= size, () => `${name}: wanted bytes ${offset} to ${end} of ${size}.`);
      return data instanceof Blob
        ? new Uint8Array(await data.slice(offset, end).arrayBuffer())
        : new Uint8Array(data.slice(offset, end)); // slice: a copy, which starts a buffer of its own
    },
    close: () => Promise.resolve(),
  };
}

/** Files by name, as a page gets them from an `<input type="file">` or makes them itself, as a {@link Folder}. */
export function folderOf(
  files: Record<string, Blob | ArrayBuffer | Uint8Array | string>,
  name = "files in memory",
): Folder {
  return {
    name,
    open: (file) => {
      const content = Object.hasOwn(files, file) ? files[file] : undefined;
      return Promise.resolve(content === undefined ? undefined : byteSource(content, `${name}/${file}`));
    },
  };
}

/** The whole text of a file of `folder`; undefined when there is no such file. @throws {@link GpugradError} when it is not UTF-8. */
export async function readText(folder: Folder, file: string): Promise<string | undefined> {
  const source = await folder.open(file);
  if (!source) return undefined;
  try {
    return decodeText(await source.read(0, source.size), source.name);
  } finally {
    await source.close();
  }
}

/** UTF-8 as text. @throws {@link GpugradError} naming `what` when it is not UTF-8, or too long for a string. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new GpugradError(`${what}: not a text in UTF-8, or too long: ${bytes.length} bytes. Is the file complete?`);
  }
}

/** A JSON object: its keys may be anything, `__proto__` included. */
export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Levels of objects and lists in each other; serde_json, which reads these files in Rust, allows as many. */
const maxNesting = 128;

/** A JSON object of `folder`; undefined when there is no such file. @throws {@link GpugradError} as {@link parseJsonObject} does. */
export async function readJson(folder: Folder, file: string): Promise<Json | undefined> {
  const text = await readText(folder, file);
  return text === undefined ? undefined : parseJsonObject(text, `${folder.name}/${file}`);
}

/** Parses `text` as JSON. @throws {@link GpugradError} naming `what` when it is not JSON, or nested too deeply. */
export function parseJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new GpugradError(`${what}: not JSON: ${(error as Error).message}. Is the file complete?`);
  }
  check(!isDeeperThan(value, maxNesting), () => `${what}: nested more than ${maxNesting} levels deep.`);
  return value;
}

/** Parses `text` as a JSON object. @throws {@link GpugradError} naming `what` when it is not one, as {@link parseJson} does too. */
export function parseJsonObject(text: string, what: string): Json {
  const value = parseJson(text, what);
  check(isObject(value), () => `${what}: expected a JSON object, found ${text.slice(0, 40)}`);
  return value;
}

/** Whether objects and lists are in each other so often; without recursion, which deep values would exhaust. */
function isDeeperThan(value: unknown, levels: number): boolean {
  const objectsOf = (values: unknown[]) =>
    values.filter((child): child is object => typeof child === "object" && child !== null);
  let level = objectsOf([value]);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= levels) return true;
    level = level.flatMap((parent) => objectsOf(Object.values(parent)));
  }
  return false;
}
