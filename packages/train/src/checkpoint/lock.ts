import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GpugradError } from "@gpugrad/tensor";

/** Who writes into an output folder: the content of a lock. */
interface Owner {
  pid: number;
  host: string;
  /** When the lock was taken, in words. */
  since: string;
  /** When its process started, where the system says so: process numbers are used again. */
  started?: string | undefined;
  /** No two locks have the same content. */
  id?: string;
}

const LOCK = ".gpugrad.lock";

/** How long an unreadable lock may be one that is being written, in milliseconds. */
const UNREADABLE_MS = 1000;

/** Each further attempt means that another process has made progress. */
const MOST_ATTEMPTS = 100;

/** Contents of the locks that this process holds. */
const held = new Set<string>();

/** Those that it has given back, and couldn't delete: the disk had become read-only. */
const left = new Set<string>();

/**
 * Takes an output folder for this process, so that no other run writes into it. A lock whose process has ended (on this machine)
 * is taken over: nothing has to be cleaned up after a crash.
 * @returns gives the folder back
 * @throws when another run has it: says which
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const path = join(resolve(folder), LOCK);
  const owner: Owner = {
    ...{ pid: process.pid, host: hostname(), since: new Date().toISOString() },
    ...{ started: await startOf(process.pid), id: randomUUID() },
  };
  const content = JSON.stringify(owner);
  held.add(content); // before it can be read
  try {
    await take(path, content, folder);
  } catch (error) {
    held.delete(content);
    throw error;
  }
  await sweep(resolve(folder)).catch(() => undefined); // what crashes have left costs nothing but its name
  return async () => {
    held.delete(content);
    if ((await readLock(path).catch(() => undefined)) !== content) return; // deleted by hand, and perhaps another run's by now
    await rm(path, { force: true }).catch(() => left.add(content)); // a later run takes it over
  };
}

/**
 * Puts `content` at `path` if nothing is there, or only the lock of a process that has ended. Such a lock is replaced by the one process that
 * holds its claim, a lock of its own named by the stale lock's content. As contents are unique and only the holder of its claim replaces a
 * stale lock, the lock that is replaced is the one that was read, and there is no moment without a lock in between.
 */
async function take(path: string, content: string, folder: string): Promise<void> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    if (await create(path, content)) return;
    const found = await readWritten(path);
    if (found === undefined) continue; // given back meanwhile
    const other = ownerIn(found);
    if (other && !(await hasEnded(other, found))) {
      throw new GpugradError(
        `${folder}: in use by another run: process ${other.pid} on ${other.host}, since ${other.since}. ` +
          `Wait for it, choose another output folder, or delete ${path} if that run is gone.`,
      );
    }
    const claim = `${path}.${createHash("sha256").update(found).digest("hex").slice(0, 16)}`;
    await take(claim, content, folder);
    if ((await readLock(path)) === found) return rename(claim, path);
    await rm(claim, { force: true }); // an earlier holder of the claim was faster
  }
  throw new GpugradError(`${folder}: other runs keep taking it. Choose another output folder.`);
}

/** Creates a file together with its content, in one step. @returns false where there is one already */
async function create(path: string, content: string): Promise<boolean> {
  const aside = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  await writeFile(aside, content, { flag: "wx" });
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return (await stat(aside)).nlink > 1; // NFS may answer twice, and the first answer got lost
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EACCES"].includes(code!)) throw error;
  } finally {
    await rm(aside, { force: true });
  }
  return createWithoutLinks(path, content);
}

/** Where the file system has no hard links: in two steps. Who reads the lock in between waits, see {@link readWritten}. */
async function createWithoutLinks(path: string, content: string): Promise<boolean> {
  const file = await open(path, "wx").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    return undefined;
  });
  if (!file) return false;
  await file.writeFile(content);
  await file.close();
  return (await readLock(path)) === content; // else this process was so slow that it was taken for one that has ended
}

/** The content of a lock, once it is whole, or has been left unwritten for long. */
async function readWritten(path: string): Promise<string | undefined> {
  const first = await readLock(path);
  for (let waited = 0, found = first; ; waited += 20) {
    if (found === undefined || found !== first || ownerIn(found) || waited >= UNREADABLE_MS) return found;
    await sleep(20);
    found = await readLock(path);
  }
}

const readLock = (path: string): Promise<string | undefined> =>
  readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });

function ownerIn(content: string): Owner | undefined {
  try {
    const owner = JSON.parse(content) as Partial<Owner> | null;
    const isOwner = Number.isSafeInteger(owner?.pid) && owner!.pid! > 0 && typeof owner!.host === "string";
    return isOwner ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process that wrote a lock is known to have ended. Of other machines, nothing is known. */
async function hasEnded({ pid, host, started }: Owner, content: string): Promise<boolean> {
  if (host !== hostname()) return false;
  if (held.has(content)) return false;
  if (left.has(content)) return true;
  if (!isAlive(pid)) return true;
  // A container that is started again counts from 1 again: a process of the same number may be another one.
  if (started === undefined) return pid === process.pid;
  const now = await startOf(pid);
  return now !== undefined && now !== started;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // alive, and somebody else's
  }
}

/** Which boot of the machine, and at which of its clock's ticks a process started; undefined where the system has no such files. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const [boot, status] = await Promise.all([
      readFile("/proc/sys/kernel/random/boot_id", "utf8"),
      readFile(`/proc/${pid}/stat`, "utf8"),
    ]);
    const [, , , , , , , , , , , , , , , , , , , ticks] = status.slice(status.lastIndexOf(")") + 2).split(" ");
    return ticks === undefined ? undefined : `${boot.trim()} ${ticks}`;
  } catch {
    return undefined;
  }
}

/** Deletes claims and unfinished locks of processes that have ended; the folder's own lock is held meanwhile. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${LOCK}.`)) continue;
    const content = await readLock(join(folder, name));
    const owner = content === undefined ? undefined : ownerIn(content);
    if (owner && (await hasEnded(owner, content!))) await rm(join(folder, name), { force: true });
  }
}
