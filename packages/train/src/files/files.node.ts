import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { fetchFromHub, listHubFiles, notHere, openFile, repoId, type HubOptions } from "@gpugrad/bert";
import type { DataFolder } from "../data/readers/folder.ts";

export { saveTokenizer, tokenCache } from "../data/token-cache.ts";
export { startWorkers } from "../data/tokenize-workers.ts";
export { version } from "../version.ts";
export { exists, readJson, writeJson } from "./json-files.ts";

/** A local folder or file, or else a dataset of the Hub whose files are downloaded when they are opened. */
export async function openDataFolder(idOrPath: string, options: HubOptions = {}): Promise<DataFolder> {
  const info = await stat(idOrPath).catch(() => undefined);
  if (info?.isFile()) return { name: dirname(idOrPath), files: [basename(idOrPath)], open: () => openFile(idOrPath) };
  if (info) {
    const entries = await readdir(idOrPath, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(idOrPath, join(entry.parentPath, entry.name)).replaceAll(sep, "/"));
    return { name: idOrPath, files: files.sort(), open: (file) => openFile(join(idOrPath, file)) };
  }
  const id = repoId(idOrPath, "no such file or folder, and not the id of a dataset of the Hub either");
  const repo = { repo: id, type: "dataset", ...options } as const;
  const files = (await listHubFiles(repo).catch(notHere(id, "file or folder"))).sort();
  const fetched = new Map<string, Promise<string>>();
  const fetch = (path: string) => fetched.get(path) ?? fetched.set(path, fetchFromHub({ ...repo, path })).get(path)!;
  return { name: idOrPath, files, open: async (path) => openFile(await fetch(path)) };
}
