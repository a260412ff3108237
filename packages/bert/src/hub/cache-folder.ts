import { randomBytes } from "node:crypto";
import { copyFile, mkdir, open, readdir, realpath, rename, rm, stat, statfs, symlink } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { writeFileAside } from "@gpugrad/nn";
import type { RemoteFile } from "./api.ts";
import { HubError } from "./errors.ts";
import { damageOf } from "./hash.ts";
import { isCommit, isHash } from "./names.ts";
import { Overtaken, PartialBlob } from "./partial-blob.ts";
import type { HubStore } from "./repository.ts";

/**
 * The standard cache on disk, `models--org--name/{refs,snapshots,blobs}`, as Python's `huggingface_hub` has it: snapshots are
 * links to blobs, whose names are the hashes of their content. Links that lead out of the repository's folder are neither
 * written through nor trusted.
 */
export function folderStore(cacheDir: string, type: string, repo: string): HubStore<string> {
  const storage = join(cacheDir, [`${type}s`, ...repo.split("/")].join("--"));
  const [refs, snapshots, blobs] = ["refs", "snapshots", "blobs"].map((name) => join(storage, name)) as [
    string,
    string,
    string,
  ];

  const isInside = async (path: string): Promise<boolean> => {
    const inside = relative(join(await realpath(cacheDir), basename(storage)), await realpath(path));
    return inside !== ".." && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
  };

  /** Makes a folder of the repository's, one after the other: a link that leads elsewhere is refused. */
  async function makeFolder(folder: string): Promise<void> {
    await mkdir(cacheDir, { recursive: true });
    let at = cacheDir;
    for (const part of relative(cacheDir, folder).split(sep)) {
      at = join(at, part);
      await mkdir(at).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      });
      if (!(await isInside(at)))
        throw new HubError("disk", `${at}: a link that leads out of the cache: nothing is written there. Delete it.`);
    }
  }

  /** Puts `blob` into the snapshot: a relative link, or a copy where the system refuses links. */
  async function link(blob: string, pointer: string): Promise<void> {
    await makeFolder(dirname(pointer));
    const aside = `${pointer}.${randomBytes(4).toString("hex")}.tmp`;
    await symlink(relative(dirname(pointer), blob), aside).catch(() => copyFile(blob, aside));
    await rename(aside, pointer);
  }

  const filesBelow = async (folder: string): Promise<string[]> => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  };

  return {
    name: cacheDir,

    async readCommit(revision) {
      const text = await readStart(join(refs, revision), 64).catch(() => "");
      return isCommit(text.trim()) ? text.trim() : undefined;
    },

    writeCommit: (revision, commit) =>
      inCache(cacheDir, async () => {
        const ref = join(refs, revision);
        await makeFolder(dirname(ref));
        await writeFileAside(ref, commit);
      }),

    async find(commit, path) {
      const place = join(snapshots, commit, path);
      const blob = await realpath(place).catch(() => undefined);
      if (blob === undefined || !(await isFile(blob))) return undefined;
      const damage = (await isInside(blob)) ? await damageOf(blob) : "it is a link that leads out of the cache";
      return { place, damage };
    },

    async list(commit) {
      const folder = join(snapshots, commit);
      return (await filesBelow(folder)).map((path) => relative(folder, path).replaceAll(sep, "/"));
    },

    add: (commit, file, fill) =>
      inCache(cacheDir, async () => {
        const target = join(blobs, file.etag);
        await makeFolder(blobs);
        while (await damageOf(target, file.size)) {
          const partial = await PartialBlob.claim(target, file);
          if (!partial) continue;
          try {
            await checkRoom(blobs, file, partial.size);
            await fill(partial);
            await partial.finish();
          } catch (error) {
            await partial.leave();
            if (!(error instanceof Overtaken)) throw error;
          }
        }
        const pointer = join(snapshots, commit, file.path);
        await link(target, pointer);
        return pointer;
      }),

    clearOld: () =>
      inCache(cacheDir, async () => {
        const named = new Set<string>();
        for (const ref of await filesBelow(refs)) named.add((await readStart(ref, 64)).trim());
        const commits = (await readdir(snapshots).catch(() => [])).filter(isCommit);
        const old = commits.filter((commit) => !named.has(commit));
        if (old.length === 0) return [];
        await makeFolder(snapshots); // refuses one that is a link to somewhere else
        await makeFolder(blobs);
        for (const commit of old) await rm(join(snapshots, commit), { recursive: true, force: true });
        const used = new Set<string>();
        for (const pointer of await filesBelow(snapshots)) used.add(await realpath(pointer).catch(() => ""));
        const root = await realpath(blobs);
        for (const blob of (await readdir(blobs)).filter(isHash))
          if (!used.has(join(root, blob))) await rm(join(blobs, blob), { force: true });
        return old;
      }),
  };
}

/** Errors of the disk, with the cache's folder and the setting that moves it. */
async function inCache<T>(cacheDir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (error instanceof HubError || syscall === undefined) throw error;
    const move = "set HF_HOME, HF_HUB_CACHE or cacheDir to a folder";
    throw new HubError(
      "disk",
      code === "ENOSPC" || code === "EDQUOT"
        ? `${cacheDir}: the disk is full (${code}). Free some space, or ${move} on another disk. What has arrived is kept.`
        : `${cacheDir}: the cache can't be written: ${message}. Choose another: ${move} that is yours.`,
    );
  }
}

/** Refuses a download that can't fit on the disk, before it fills it. */
async function checkRoom(folder: string, { path, size }: RemoteFile, have: number): Promise<void> {
  const disk = await statfs(folder);
  const free = disk.bavail * disk.bsize;
  if (disk.blocks === 0 || size - have <= free) return; // 0: a disk that does not say
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  throw new HubError(
    "disk",
    `${folder}: the disk is full: ${path} needs ${megabytes(size - have)} more, ${megabytes(free)} are free. Free some space, or set HF_HOME, HF_HUB_CACHE or cacheDir to a folder on another disk.`,
  );
}

const isFile = (path: string) => stat(path).then((s) => s.isFile(), () => false); // prettier-ignore

/** The first bytes of a file as text. */
async function readStart(path: string, length: number): Promise<string> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}
