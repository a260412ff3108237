import { FilesError } from "./errors.ts";
import type * as node from "./platform.node.ts";

const noFileSystem = (what: string) => (): never => {
  throw new FilesError(`${what}: a browser has no file system. Pass bytes, a Blob, or files by name instead.`);
};

export const openFile: typeof node.openFile = noFileSystem("open");
export const writeFileAside: typeof node.writeFileAside = noFileSystem("write");
