import { mkdir, open, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { GpugradError } from "@gpugrad/tensor";

/** Who writes into an output folder. */
interface Owner {
  pid: number;
  host: string;
  /** When it began, in words. */
  since: string;
}

const LOCK = ".gpugrad.lock";

/** The locks of this process. Others with its number are left from one that has ended: a container that is started again counts anew. */
const held = new Set<string>();

/**
 * Takes an output folder for this process, so that no other run writes into it. A lock whose process has ended (on this machine)
 * is taken over: nothing has to be cleaned up after a crash.
 * @returns gives the folder back
 * @throws when another run has it: says which
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const path = join(resolve(folder), LOCK);
  const owner: Owner = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  for (let attempt = 0; attempt < 3; attempt++) {
    const file = await open(path, "wx").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      return undefined;
    });
    if (file) {
      held.add(path);
      await file.writeFile(JSON.stringify(owner));
      await file.close();
      return async () => {
        held.delete(path);
        await rm(path, { force: true }).catch(() => undefined); // where the disk has become read-only, a later run takes it over
      };
    }
    const other = await ownerOf(path);
    const goesOn = other?.pid === process.pid ? held.has(path) : other && isAlive(other.pid);
    if (other && (other.host !== owner.host || goesOn)) {
      throw new GpugradError(
        `${folder}: in use by another run: process ${other.pid} on ${other.host}, since ${other.since}. ` +
          `Wait for it, choose another output folder, or delete ${path} if that run is gone.`,
      );
    }
    await rm(path, { force: true }); // its process has ended, or it was never written whole
  }
  throw new GpugradError(`${folder}: other runs keep taking it. Choose another output folder.`);
}

async function ownerOf(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // alive, and somebody else's
  }
}
