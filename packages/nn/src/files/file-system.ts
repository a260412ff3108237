import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { check, GpugradError } from "@gpugrad/tensor";
import type { ByteSource, Folder } from "./folder.ts";

/** Opens a file on disk. @throws {@link GpugradError} when it is not there or no file. */
export async function openFile(path: string): Promise<ByteSource> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new GpugradError(`${path}: ${error.code === "ENOENT" ? "no such file" : error.message}`);
  });
  const stat = await file.stat();
  if (!stat.isFile()) {
    await file.close();
    throw new GpugradError(`${path}: not a file.`);
  }
  const { size } = stat;
  return {
    name: path,
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
        check(
          bytesRead > 0,
          () => `${path}: wanted bytes ${offset} to ${offset + length} of ${size}. Was it cut short?`,
        );
        done += bytesRead;
      }
      return bytes;
    },
    close: () => file.close(),
  };
}

/** A folder on disk; undefined where there is none. */
export async function localFolder(path: string): Promise<Folder | undefined> {
  if (!(await kindOf(path))?.isDirectory()) return undefined;
  return {
    name: path,
    async open(file) {
      const inside = join(path, file);
      return (await kindOf(inside))?.isFile() ? openFile(inside) : undefined;
    },
  };
}

const kindOf = (path: string) => stat(path).catch(() => undefined);

/**
 * Writes a file beside `path` and renames it when all of it is on disk: `path` holds the old file or the whole new one.
 * Makes the folder where it is missing.
 */
export async function writeFileAside(
  path: string,
  content: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const aside = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  const file = await open(aside, "wx");
  try {
    for await (const piece of typeof content === "string" ? [Buffer.from(content)] : content)
      for (let done = 0; done < piece.length;) done += (await file.write(piece, done)).bytesWritten;
    await file.sync();
    await file.close();
    await rename(aside, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(aside, { force: true });
    throw error;
  }
}
