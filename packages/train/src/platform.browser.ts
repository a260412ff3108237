import { DataError } from "./errors.ts";
import type * as node from "./platform.node.ts";

export const openDataFolder: typeof node.openDataFolder = (idOrPath) => {
  throw new DataError(
    `${idOrPath}: a browser has no file system. Pass the files by name, dataFolder({ "train.csv": file }), or rows, Dataset.fromRows(rows).`,
  );
};
