import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Lists the files of a sealed folder: whatever is in it is whole. Written last. */
const SEAL = "checksums.json";

interface SealedFile {
  size: number;
  sha256: string;
}

/**
 * Writes a folder as a whole: `fill` writes into one beside it, which is synced to disk, sealed with sizes and checksums, and renamed. So
 * `path` is not there, or all of it is, whenever the machine stops. An old one is replaced.
 */
export async function writeSealedFolder(path: string, fill: (aside: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const aside = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  await mkdir(aside);
  try {
    await fill(aside);
    const files: Record<string, SealedFile> = {};
    for (const name of await filesIn(aside)) {
      files[name] = await describe(join(aside, name));
      await sync(join(aside, name));
    }
    await writeFile(join(aside, SEAL), `${JSON.stringify({ files }, null, 2)}\n`);
    await sync(join(aside, SEAL));
    await sync(aside);
    await rm(path, { recursive: true, force: true }); // rename() doesn't replace a folder that isn't empty
    await rename(aside, path);
    await sync(dirname(path));
  } catch (error) {
    await rm(aside, { recursive: true, force: true }).catch(() => undefined); // the disk may be full, or gone
    throw error;
  }
}

/** What is wrong with a sealed folder, in words; undefined if all of it is there, byte by byte. */
export async function problemOf(path: string): Promise<string | undefined> {
  const text = await readFile(join(path, SEAL), "utf8").catch(() => undefined);
  if (text === undefined) return `${SEAL} is missing: it was never finished`;
  let files: Record<string, SealedFile>;
  try {
    ({ files } = JSON.parse(text) as { files: Record<string, SealedFile> });
    for (const [name, sealed] of Object.entries(files)) {
      const found = await describe(join(path, name)).catch(() => undefined);
      if (!found) return `${name} is missing`;
      if (found.size !== sealed.size) return `${name} has ${found.size} bytes instead of ${sealed.size}`;
      if (found.sha256 !== sealed.sha256) return `${name} was changed: its checksum differs`;
    }
  } catch {
    return `${SEAL} can't be read`;
  }
  return undefined;
}

const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();

async function describe(file: string): Promise<SealedFile> {
  const hash = createHash("sha256");
  let size = 0;
  await pipeline(createReadStream(file), async (pieces: AsyncIterable<Uint8Array>) => {
    for await (const piece of pieces) {
      size += piece.length;
      hash.update(piece);
    }
  });
  return { size, sha256: hash.digest("hex") };
}

/** Waits until a file, or a folder's list of files, is on disk. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!["EPERM", "EINVAL", "EISDIR"].includes((error as NodeJS.ErrnoException).code!)) throw error; // Windows can't sync folders
  } finally {
    await handle.close();
  }
}
