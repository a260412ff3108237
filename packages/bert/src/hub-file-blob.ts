import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";

/** A file on disk, or a part of it, as a Blob: read when it is needed, as often as it is needed. */
export class FileBlob extends Blob {
  readonly path: string;
  readonly #start: number;
  readonly #size: number;
  readonly #onSent: (bytes: number) => void;
  /** Bytes that went out. */
  #sent = 0;

  /** @param onSent Hears how many more bytes went out; fewer than 0 where some have to be sent again. */
  constructor(path: string, size: number, onSent: (bytes: number) => void = () => undefined, start = 0) {
    super();
    this.path = path;
    this.#start = start;
    this.#size = size;
    this.#onSent = onSent;
  }

  override get size(): number {
    return this.#size;
  }

  override slice(start = 0, end = this.size): FileBlob {
    return new FileBlob(this.path, Math.min(end, this.size) - start, this.#onSent, this.#start + start);
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return streamOf(this.#chunks());
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(this.size);
    const file = await open(this.path);
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, this.#start + done);
        if (bytesRead === 0) throw new Error(`${this.path}: it became shorter while it was read`);
        done += bytesRead;
      }
    } finally {
      await file.close();
    }
    return bytes.buffer;
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }

  /** The same bytes for one attempt to send them: what goes out is counted, `onChunk` is told, and an earlier attempt no longer counts. */
  sending(onChunk: () => void): Blob {
    return new BlobOf(this.size, () => streamOf(this.#counted(onChunk)));
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    if (this.size > 0) yield* createReadStream(this.path, { start: this.#start, end: this.#start + this.size - 1 });
  }

  async *#counted(onChunk: () => void): AsyncGenerator<Uint8Array> {
    this.#count(-this.#sent);
    for await (const chunk of this.#chunks()) {
      this.#count(chunk.length);
      onChunk();
      yield chunk;
    }
  }

  #count(bytes: number): void {
    this.#sent += bytes;
    this.#onSent(bytes);
  }
}

/** What `fetch` needs of a Blob: its size, and its bytes. */
class BlobOf extends Blob {
  override readonly size: number;
  override readonly stream: () => ReadableStream<Uint8Array<ArrayBuffer>>;

  constructor(size: number, stream: () => ReadableStream<Uint8Array<ArrayBuffer>>) {
    super();
    this.size = size;
    this.stream = stream;
  }
}

const streamOf = (chunks: AsyncGenerator<Uint8Array>) =>
  Readable.toWeb(Readable.from(chunks, { objectMode: false })) as ReadableStream<Uint8Array<ArrayBuffer>>;
