import { sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { RemoteFile } from "./api.ts";
import type { PartialFile } from "./download.ts";
import { encodePath, isCommit, isHash, pageOf } from "./names.ts";
import type { HubStore } from "./repository.ts";

/** A large file is kept in pieces of this size while it is downloaded. */
const pieceBytes = 8 * 2 ** 20;

/**
 * A browser's Cache Storage, laid out as the cache on disk is, below the address of the repository: `refs/<revision>` is a
 * commit, `snapshots/<commit>/<path>` the hash of a file, `blobs/<hash>` its content. Where there is no Cache Storage
 * (pages that are not secure) or no room in it, files are in memory, and fetched again next time.
 */
export function cacheStorageStore(endpoint: string, type: "model" | "dataset", repo: string): HubStore<Blob> {
  const base = pageOf(endpoint, type, repo);
  const refOf = (revision: string) => `${base}/refs/${encodePath(revision)}`;
  const snapshotOf = (commit: string) => `${base}/snapshots/${commit}/`;
  const pointerOf = (commit: string, path: string) => `${snapshotOf(commit)}${encodePath(path)}`;
  const blobOf = (etag: string) => `${base}/blobs/${etag}`;

  const cache = (): Promise<Cache | undefined> =>
    globalThis.caches?.open("gpugrad").catch(() => undefined) ?? Promise.resolve(undefined);
  const read = async (address: string) => (await cache())?.match(address);
  const write = async (address: string, content: BodyInit) =>
    (await cache())?.put(address, new Response(content)).catch(() => {}); // a full disk only costs the next download
  const remove = async (address: string) => (await cache())?.delete(address);
  const addresses = async (start: string) =>
    ((await (await cache())?.keys()) ?? []).map(({ url }) => url).filter((url) => url.startsWith(start));
  const readCommit = async (address: string) => {
    const text = await (await read(address))?.text();
    return text !== undefined && isCommit(text) ? text : undefined;
  };

  return {
    name: "the browser's cache",

    readCommit: (revision) => readCommit(refOf(revision)),

    async writeCommit(revision, commit) {
      await write(refOf(revision), commit);
    },

    async find(commit, path) {
      const etag = await (await read(pointerOf(commit, path)))?.text();
      const place = isHash(etag) ? await (await read(blobOf(etag)))?.blob() : undefined;
      return place && { place, damage: await damageOf(place, etag!) };
    },

    async list(commit) {
      const start = snapshotOf(commit);
      return (await addresses(start)).map((url) => decodeURIComponent(url.slice(start.length)));
    },

    add: (commit, file, fill) =>
      alone(blobOf(file.etag), async () => {
        const address = blobOf(file.etag);
        const cached = await (await read(address))?.blob();
        let content = cached && !(await damageOf(cached, file.etag, file.size)) ? cached : undefined;
        if (!content) {
          const removePieces = async () => {
            for (const piece of await addresses(`${address}?`)) await remove(piece);
          };
          const partial = await PieceByPiece.open(file, {
            read: async (from) => (await read(`${address}?from=${from}`))?.blob(),
            write: (from, piece) => write(`${address}?from=${from}`, piece),
            clear: removePieces,
          });
          await fill(partial).catch(async (error: unknown) => {
            await partial.leave();
            throw error;
          });
          content = partial.blob();
          await write(address, content);
          await removePieces();
        }
        await write(pointerOf(commit, file.path), file.etag);
        return content;
      }),

    async clearOld() {
      const named = new Set<string | undefined>();
      for (const ref of await addresses(`${base}/refs/`)) named.add(await readCommit(ref));
      const used = new Set<string | undefined>();
      const old = new Set<string>();
      for (const pointer of await addresses(`${base}/snapshots/`)) {
        const commit = pointer.slice(`${base}/snapshots/`.length).split("/")[0]!;
        if (named.has(commit)) used.add(await (await read(pointer))?.text());
        else if (await remove(pointer)) old.add(commit);
      }
      for (const blob of await addresses(`${base}/blobs/`))
        if (!used.has(blob.slice(`${base}/blobs/`.length).split("?")[0])) await remove(blob);
      for (const rest of await addresses(`${base}/resolve/`)) await remove(rest); // of earlier versions, by branch
      return [...old];
    },
  };
}

/** One tab at a time downloads a file; the others find it. */
const alone = <T>(name: string, work: () => Promise<T>): Promise<T> =>
  "navigator" in globalThis && "locks" in navigator ? navigator.locks.request(name, work) : work();

interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
  clone(): Hash;
}

const hashFor = (etag: string, size: number): Hash =>
  etag.length === 64 ? sha256.create() : sha1.create().update(new TextEncoder().encode(`blob ${size}\0`));

const whole = new Set<string>(); // hashes of content that this page has found whole

/** What is wrong with cached content; undefined when it has the hash that it is kept by. */
async function damageOf(content: Blob, etag: string, size = content.size): Promise<string | undefined> {
  if (content.size !== size) return `it has ${content.size} bytes instead of ${size}`;
  if (whole.has(`${etag} ${size}`)) return undefined;
  const hash = hashFor(etag, size);
  for (let from = 0; from < size; from += pieceBytes)
    hash.update(new Uint8Array(await content.slice(from, from + pieceBytes).arrayBuffer()));
  const digest = bytesToHex(hash.digest());
  if (digest !== etag) return `its hash is ${digest} instead of ${etag}`;
  whole.add(`${etag} ${size}`);
  return undefined;
}

interface Pieces {
  read: (from: number) => Promise<Blob | undefined>;
  write: (from: number, piece: Blob) => Promise<unknown>;
  clear: () => Promise<void>;
}

/** A file that is being downloaded, in pieces of equal size that outlive the page, but for the last one. */
class PieceByPiece implements PartialFile {
  readonly #file: RemoteFile;
  readonly #store: Pieces;
  #done: Blob[] = [];
  /** What has come since the last whole piece. */
  #last: Blob[] = [];
  #lastBytes = 0;
  #hash: Hash;

  private constructor(file: RemoteFile, store: Pieces) {
    this.#file = file;
    this.#store = store;
    this.#hash = hashFor(file.etag, file.size);
  }

  /** With the pieces that an earlier try left. */
  static async open(file: RemoteFile, store: Pieces): Promise<PieceByPiece> {
    const partial = new PieceByPiece(file, store);
    while (partial.size < file.size) {
      const piece = partial.#lastBytes === 0 ? await store.read(partial.size) : undefined;
      if (!piece || piece.size === 0 || piece.size > Math.min(pieceBytes, file.size - partial.size)) break;
      partial.#take(piece, new Uint8Array(await piece.arrayBuffer()));
    }
    return partial;
  }

  get size(): number {
    return this.#done.length * pieceBytes + this.#lastBytes;
  }

  async append(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let from = 0; from < chunk.length;) {
      const bytes = chunk.subarray(from, from + pieceBytes - this.#lastBytes);
      from += bytes.length;
      if (this.#take(new Blob([bytes]), bytes)) await this.#store.write(this.size - pieceBytes, this.#done.at(-1)!);
    }
  }

  /** @returns whether that completes a piece */
  #take(content: Blob, bytes: Uint8Array): boolean {
    this.#hash.update(bytes);
    this.#last.push(content);
    this.#lastBytes += bytes.length;
    if (this.#lastBytes < pieceBytes) return false;
    this.#done.push(new Blob(this.#last));
    [this.#last, this.#lastBytes] = [[], 0];
    return true;
  }

  clear(): Promise<void> {
    [this.#done, this.#last, this.#lastBytes] = [[], [], 0];
    this.#hash = hashFor(this.#file.etag, this.#file.size);
    return this.#store.clear();
  }

  digest(): string {
    return bytesToHex(this.#hash.clone().digest());
  }

  blob(): Blob {
    return new Blob([...this.#done, ...this.#last]);
  }

  /** Keeps what has come for the next try. */
  async leave(): Promise<void> {
    if (this.#lastBytes > 0) await this.#store.write(this.#done.length * pieceBytes, new Blob(this.#last));
  }
}
