import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { pipeline } from "node:stream/promises";

/** Lists the files of a sealed folder: whatever is in it is whole. Written last. */
const SEAL = "checksums.json";

interface SealedFile {
  size: number;
  sha256: string;
}

/** A name beside `path` for something that is not whole yet, or no longer. Freeing space deletes what a crash leaves there. */
const aside = (path: string): string => `${path}.${randomUUID().slice(0, 8)}.tmp`;

/**
 * Writes a folder as a whole: `fill` writes into one beside it, which is synced to disk, sealed with sizes and checksums, and renamed. So
 * `path` is not there, or all of it is, whenever the machine stops. An old one is replaced, once the new one is on disk.
 */
export async function writeSealedFolder(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const folder = aside(path);
  await mkdir(folder);
  try {
    await fill(folder);
    const files: Record<string, SealedFile> = {};
    for (const name of await filesIn(folder)) {
      files[name] = await describe(join(folder, name));
      await sync(join(folder, name));
    }
    for (const within of new Set(Object.keys(files).map(dirname))) await sync(join(folder, within));
    await writeFile(join(folder, SEAL), `${JSON.stringify({ files }, null, 2)}\n`);
    await sync(join(folder, SEAL));
    await sync(folder);
    await replaceFolder(path, folder);
    await sync(dirname(path));
  } catch (error) {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined); // the disk may be full, or gone
    throw error;
  }
}

/** Renames `folder` to `path`. An old folder there is moved away first, as rename() replaces none that isn't empty, and deleted last. */
async function replaceFolder(path: string, folder: string): Promise<void> {
  const old = await moveAway(path);
  try {
    await rename(folder, path);
  } catch (error) {
    if (old !== undefined) await rename(old, path);
    throw error;
  }
  if (old !== undefined) await rm(old, { recursive: true, force: true });
}

/** Deletes a folder, if it is there. It goes as a whole: a crash leaves no part of it under its name. */
export async function removeFolder(path: string): Promise<void> {
  const old = await moveAway(path);
  if (old !== undefined) await rm(old, { recursive: true, force: true });
}

/** Gives a folder another name, and says which; undefined if it isn't there. */
async function moveAway(path: string): Promise<string | undefined> {
  const old = aside(path);
  try {
    await rename(path, old);
    return old;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What is wrong with a sealed folder, in words; undefined if all of it is there, byte by byte, and nothing else is. */
export async function problemOf(path: string): Promise<string | undefined> {
  const text = await readFile(join(path, SEAL), "utf8").catch(() => undefined);
  if (text === undefined) return `${SEAL} is missing: it was never finished`;
  const sealed = sealedFiles(text);
  if (typeof sealed === "string") return `${SEAL} ${sealed}`;
  const others = (await filesIn(path)).filter((name) => name !== SEAL && !sealed.has(name));
  if (others.length > 0) return `${SEAL} doesn't list ${others.join(", ")}`;
  for (const [name, { size, sha256 }] of sealed) {
    const file = join(path, name);
    const found = await lstat(file).catch(() => undefined);
    if (!found) return `${name} is missing`;
    if (!found.isFile()) return `${name} is ${found.isSymbolicLink() ? "a link" : "not a file"}`;
    if (found.size !== size) return `${name} has ${found.size} bytes instead of ${size}`;
    const now = await describe(file).catch((error: NodeJS.ErrnoException) => error.message);
    if (typeof now === "string") return `${name} can't be read: ${now}`;
    if (now.sha256 !== sha256) return `${name} was changed: its checksum differs`;
  }
  return undefined;
}

/** The files that a seal lists, or what is wrong with it. */
function sealedFiles(text: string): Map<string, SealedFile> | string {
  let seal: unknown;
  try {
    seal = JSON.parse(text);
  } catch {
    return "can't be read";
  }
  if (!isRecord(seal) || !isRecord(seal["files"])) return "has no table of files";
  const entries = Object.entries(seal["files"]);
  if (entries.length === 0) return "lists no files";
  for (const [name, file] of entries) {
    const shown = JSON.stringify(name);
    const isInside = name.split("/").every((part) => part !== "" && !/^\.\.?$|[\\:\0]/.test(part)) && name !== SEAL;
    if (!isInside) return `lists ${shown}, which isn't a file of this folder`;
    if (!isRecord(file)) return `has no size and checksum of ${shown}`;
    if (!Number.isSafeInteger(file["size"]) || (file["size"] as number) < 0) return `has no valid size of ${shown}`;
    if (typeof file["sha256"] !== "string" || !/^[0-9a-f]{64}$/.test(file["sha256"]))
      return `has no valid SHA-256 of ${shown}`;
  }
  return new Map(entries as [string, SealedFile][]);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The files in a folder and its folders, and anything else that is not a folder, except for hidden ones. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .filter((name) => !/(^|\/)\./.test(name))
    .sort();
}

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
