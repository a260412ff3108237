import { check } from "@gpugrad/tensor";

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
