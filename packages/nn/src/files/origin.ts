import { GpugradError } from "@gpugrad/tensor";

declare global {
  // Programs for Node have no DOM library, but check these declarations. Where there is one, they merge with its own.
  /* eslint-disable @typescript-eslint/no-empty-object-type */
  interface FileSystemDirectoryHandle {}
  interface FileSystemFileHandle {}
  /* eslint-enable @typescript-eslint/no-empty-object-type */
}

/** Whether this is a page, or a worker of one, that may keep files. */
const isHere = (): boolean => typeof globalThis.navigator?.storage?.getDirectory === "function";

/**
 * A folder of the browser's own file system for this site (OPFS): of what `a/b/c` names, `a/b/c` itself.
 * @param options.create whether it is made, with those that it is in, where it isn't there
 * @returns undefined where there is no such folder
 * @throws {@link GpugradError} where there is no such file system
 * @see https://fs.spec.whatwg.org/#origin-private-file-system
 */
export async function originFolder(
  path: string,
  { create = false }: { create?: boolean } = {},
): Promise<FileSystemDirectoryHandle | undefined> {
  if (!isHere()) {
    if (!create) return undefined;
    throw new GpugradError(
      `${path}: this page can't keep files: the browser has no file system for it (OPFS). Open it over HTTPS or from localhost, and not in a private window; or pass bytes, a Blob, or files by name (folderOf).`,
    );
  }
  try {
    let folder = await navigator.storage.getDirectory();
    for (const name of partsOf(path)) folder = await folder.getDirectoryHandle(name, { create });
    return folder;
  } catch (error) {
    if (!create && isMissing(error)) return undefined;
    throw named(path, error);
  }
}

/** A file of it; undefined where there is none. */
export async function originFile(path: string): Promise<FileSystemFileHandle | undefined> {
  const parts = partsOf(path);
  const name = parts.pop();
  const folder = name === undefined ? undefined : await originFolder(parts.join("/"));
  if (!folder) return undefined;
  try {
    return await folder.getFileHandle(name!);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw named(path, error);
  }
}

/** Writes a file of it, with the folders that it is in: the old file is there until the whole new one is. */
export async function writeOriginFile(
  path: string,
  content: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const parts = partsOf(path);
  const name = parts.pop()!;
  const folder = (await originFolder(parts.join("/"), { create: true }))!;
  try {
    const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
    try {
      for await (const piece of typeof content === "string" ? [content] : content)
        await stream.write(piece as string | Uint8Array<ArrayBuffer>);
      await stream.close();
    } catch (error) {
      await stream.abort().catch(() => undefined);
      throw error;
    }
  } catch (error) {
    throw named(path, error);
  }
}

/** Deletes a file or a folder with all that is in it, if it is there. */
export async function removeOrigin(path: string): Promise<void> {
  const parts = partsOf(path);
  const name = parts.pop()!;
  const folder = await originFolder(parts.join("/"));
  await folder?.removeEntry(name, { recursive: true }).catch((error: unknown) => {
    if (!isMissing(error)) throw named(path, error);
  });
}

const partsOf = (path: string): string[] => path.split("/").filter((part) => part !== "" && part !== ".");

const isMissing = (error: unknown): boolean =>
  error instanceof DOMException && ["NotFoundError", "TypeMismatchError"].includes(error.name);

/** What went wrong, with the path; a full storage with the code of a full disk, which a run survives. */
function named(path: string, error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  const isFull = error.name === "QuotaExceededError";
  const why = isFull ? "the browser's storage for this site is full. Delete older runs" : error.message;
  return Object.assign(new GpugradError(`${path}: ${why}.`), isFull && { code: "ENOSPC", syscall: "write" });
}
