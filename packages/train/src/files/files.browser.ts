import { DataError } from "../errors.ts";
import type * as node from "./files.node.ts";

export const openDataFolder: typeof node.openDataFolder = (idOrPath) => {
  throw new DataError(
    `${idOrPath}: a browser has no file system. Pass the files by name, dataFolder({ "train.csv": file }), or rows, Dataset.fromRows(rows).`,
  );
};

/** A page keeps tokens in memory, and tokenizes on its own thread. */
export const saveTokenizer: typeof node.saveTokenizer = () => Promise.resolve(undefined);
export const tokenCache: typeof node.tokenCache = () => {
  throw new DataError("tokenCache: a browser has no file system.");
};
export const startWorkers: typeof node.startWorkers = () => Promise.resolve("a page has none");

/** A bundle has no package.json. */
export const version: typeof node.version = () => "bundled";

const noFiles = (path: string): never => {
  throw new DataError(
    `${path}: a browser has no file system to keep a run in. Leave out outputDir, and save the model yourself.`,
  );
};
export const exists: typeof node.exists = noFiles;
export const readJson: typeof node.readJson = noFiles;
export const writeJson: typeof node.writeJson = noFiles;
