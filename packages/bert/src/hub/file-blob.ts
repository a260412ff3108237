import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";

/** A file on disk, or a part of it, as a Blob: read when it is needed, as often as it is needed. */
export class FileBlob extends Blob {
  readonly path: string;
  readonly #start: number;
  readonly #size: number;
  readonly #onSent: (bytes: number) => void;
  /** Bytes that went out. */
  #sent = 0;

  /** @param onSent Called with how many more bytes were sent; negative where some have to be sent again. */
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

  /** The same bytes for one attempt to send them, until `signal`: what goes out is counted, and what an earlier attempt sent no longer is. */
  sending(onChunk: () => void, signal: AbortSignal): Blob {
    return new BlobOf(this.size, () => streamOf(this.#counted(onChunk, signal)));
  }

  async *#chunks(signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const range = { start: this.#start, end: this.#start + this.size - 1 };
    if (this.size > 0) yield* createReadStream(this.path, { ...range, ...(signal && { signal }) });
  }

  async *#counted(onChunk: () => void, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    this.#count(-this.#sent);
    for await (const chunk of this.#chunks(signal)) {
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

/** Chunks as a stream that reads none before it is asked for: Readable.toWeb() would read whole files ahead. */
const streamOf = (chunks: AsyncGenerator<Uint8Array, void>) =>
  new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      },
      async cancel() {
        await chunks.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
