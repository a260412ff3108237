import { GpugradError } from "@gpugrad/tensor";
import type * as node from "./file-system.ts";

const noFileSystem = (what: string) => (): never => {
  throw new GpugradError(
    `${what}: a browser has no file system. Pass bytes, a Blob, or files by name (folderOf) instead.`,
  );
};

export const openFile: typeof node.openFile = noFileSystem("open");
export const localFolder: typeof node.localFolder = () => Promise.resolve(undefined);
export const writeFileAside: typeof node.writeFileAside = noFileSystem("write");
