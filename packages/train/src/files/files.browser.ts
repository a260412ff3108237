import {
  listHubFiles,
  notHere,
  openFolder,
  originFile,
  originFolder,
  parseJsonObject,
  repoId,
  writeFileAside,
  type ByteSource,
} from "@gpugrad/bert";
import { DataError } from "../errors.ts";
import type * as node from "./files.node.ts";

/** A dataset of the Hub, whose files are kept in the browser's Cache Storage. */
export const openDataFolder: typeof node.openDataFolder = async (idOrPath, options = {}) => {
  const id = repoId(
    idOrPath,
    'not the id of a dataset of the Hub. A browser has no other folders: pass files by name, dataFolder({ "train.csv": file }), or rows, Dataset.fromRows(rows)',
  );
  const repo = { type: "dataset", ...options } as const;
  const folder = await openFolder(id, repo);
  const files = (await listHubFiles({ repo: id, ...repo }).catch(notHere(id, "dataset"))).sort();
  const open = async (path: string): Promise<ByteSource> => {
    const source = await folder.open(path);
    if (!source) throw new DataError(`${id}: no file ${path}.`);
    return source;
  };
  return { name: id, files, open };
};

/** A page keeps tokens in memory, and tokenizes on its own thread. */
export const saveTokenizer: typeof node.saveTokenizer = () => Promise.resolve(undefined);
export const tokenCache: typeof node.tokenCache = () => {
  throw new DataError("tokenCache: a browser has no file system.");
};
export const startWorkers: typeof node.startWorkers = () => Promise.resolve("a page has none");

/** A bundle has no package.json. */
export const version: typeof node.version = () => "bundled";

/** Paths are those of the site's own file system in the browser (OPFS). */
export const exists: typeof node.exists = async (path) =>
  (await originFile(path)) !== undefined || (await originFolder(path)) !== undefined;

export const readJson: typeof node.readJson = async (folder, file) => {
  const path = `${folder}/${file}`;
  const handle = await originFile(path);
  return handle && parseJsonObject(await (await handle.getFile()).text(), path);
};

export const writeJson: typeof node.writeJson = (folder, file, value) =>
  writeFileAside(`${folder}/${file}`, `${JSON.stringify(value, null, 2)}\n`);
