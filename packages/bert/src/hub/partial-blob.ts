import { randomBytes, type Hash } from "node:crypto";
import { copyFile, lstat, open, readdir, rename, rm, utimes, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { RemoteFile } from "./api.ts";
import type { PartialFile } from "./download.ts";
import { sleep } from "./fetch.ts";
import { damageOf, hashFile, hashFor } from "./hash.ts";

const heartbeatMs = 1000;
/** A partial file that has not been touched for this long is abandoned. */
const abandonedMs = 5000;

/** Another process has taken the partial file over, while this one was paused. */
export class Overtaken extends Error {}

/** `<hash>.<random>.incomplete`, which becomes `<hash>`; touched every second for as long as it belongs to this process. */
export class PartialBlob implements PartialFile {
  readonly #path: string;
  readonly #target: string;
  readonly #file: RemoteFile;
  readonly #handle: FileHandle;
  readonly #heartbeat: Heartbeat;
  #size = 0;
  #hash: Hash;

  private constructor(path: string, target: string, file: RemoteFile, handle: FileHandle, heartbeat: Heartbeat) {
    this.#path = path;
    this.#target = target;
    this.#file = file;
    this.#handle = handle;
    this.#heartbeat = heartbeat;
    this.#hash = hashFor(file.etag, file.size);
  }

  /**
   * A partial file for `target`, begun or taken over; undefined when another process has finished it meanwhile. The file
   * is the lock: its owner touches it every second, and others wait for as long as it is touched. Taking over is a rename,
   * which only one process can do, and a copy: the earlier owner may be paused, and later write to the file that it has
   * open. Should two download at once after all, each writes a file of its own.
   */
  static async claim(target: string, file: RemoteFile): Promise<PartialBlob | undefined> {
    const mine = nameFor(target);
    for (; ; await sleep(300)) {
      if (!(await damageOf(target, file.size))) return undefined;
      const partials = await partialsOf(target);
      if (partials.some(({ age }) => age < abandonedMs)) continue;
      const [left] = partials;
      if (left) {
        const taken = nameFor(target);
        if (!(await rename(left.path, taken).then(() => true, () => false))) continue; // prettier-ignore
        const heartbeat = new Heartbeat(taken);
        await copyFile(taken, mine).finally(() => heartbeat.stop());
        await rm(taken, { force: true });
        return PartialBlob.#open(mine, target, file);
      }
      await (await open(mine, "wx")).close();
      const first = (await partialsOf(target)).map(({ path }) => path).sort()[0];
      if (first === mine) return PartialBlob.#open(mine, target, file);
      await rm(mine, { force: true }); // begun at the same moment by several: the first by name continues
    }
  }

  static async #open(path: string, target: string, file: RemoteFile): Promise<PartialBlob> {
    const heartbeat = new Heartbeat(path);
    try {
      const handle = await open(path, "r+");
      const partial = new PartialBlob(path, target, file, handle, heartbeat);
      partial.#size = (await handle.stat()).size;
      if (partial.#size > file.size) await partial.clear();
      else await hashFile(path, partial.#hash);
      return partial;
    } catch (error) {
      heartbeat.stop();
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  async append(chunk: Uint8Array): Promise<void> {
    if (this.#heartbeat.isLost) throw new Overtaken();
    for (let done = 0; done < chunk.length;)
      done += (await this.#handle.write(chunk, done, chunk.length - done, this.#size + done)).bytesWritten;
    this.#hash.update(chunk);
    this.#size += chunk.length;
  }

  async clear(): Promise<void> {
    await this.#handle.truncate(0);
    this.#size = 0;
    this.#hash = hashFor(this.#file.etag, this.#file.size);
  }

  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Gives the file its name once all of it is on disk, and deletes what dead processes left of the same file. */
  async finish(): Promise<void> {
    await this.#handle.sync();
    await this.#close();
    await rename(this.#path, this.#target).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "ENOENT" ? new Overtaken() : error;
    });
    for (const { path, age } of await partialsOf(this.#target)) if (age >= abandonedMs) await rm(path, { force: true });
  }

  /** Releases it for the next process. */
  async leave(): Promise<void> {
    await this.#close();
    if (this.#size === 0) await rm(this.#path, { force: true });
    else await utimes(this.#path, new Date(0), new Date(0)).catch(() => {});
  }

  async #close(): Promise<void> {
    this.#heartbeat.stop();
    await this.#handle.close().catch(() => {});
  }
}

/** Touches a file every second. */
class Heartbeat {
  readonly #timer: NodeJS.Timeout;
  /** Whether the file is gone. */
  isLost = false;

  constructor(path: string) {
    const beat = () =>
      utimes(path, new Date(), new Date()).catch((error: NodeJS.ErrnoException) => {
        this.isLost ||= error.code === "ENOENT";
      });
    void beat();
    this.#timer = setInterval(() => void beat(), heartbeatMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

const nameFor = (target: string): string => `${target}.${randomBytes(6).toString("hex")}.incomplete`;

/** Partial files for `target`, and milliseconds since they were touched. Links are none: they may lead anywhere. */
async function partialsOf(target: string): Promise<{ path: string; age: number }[]> {
  const folder = dirname(target);
  const isPartial = (name: string) => name.startsWith(`${basename(target)}.`) && name.endsWith(".incomplete");
  const paths = (await readdir(folder)).filter(isPartial).map((name) => join(folder, name));
  const infos = await Promise.all(
    paths.map(async (path) => ({ path, info: await lstat(path).catch(() => undefined) })),
  );
  return infos.flatMap(({ path, info }) =>
    info?.isFile() && info.nlink === 1 ? [{ path, age: Date.now() - info.mtimeMs }] : [],
  );
}
