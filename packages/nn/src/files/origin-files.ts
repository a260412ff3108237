import { GpugradError } from "@gpugrad/tensor";
import type * as node from "./file-system.ts";
import { byteSource } from "./folder.ts";
import { originFile, originFolder, writeOriginFile } from "./origin.ts";

/** In a browser, paths are those of the site's own file system (OPFS). */
export const openFile: typeof node.openFile = async (path) => {
  const file = await originFile(path);
  if (!file) {
    throw new GpugradError(
      `${path}: no such file in the browser's file system for this site. Pass bytes, a Blob, or files by name (folderOf) instead.`,
    );
  }
  return byteSource(await file.getFile(), path);
};

export const localFolder: typeof node.localFolder = async (path) =>
  (await originFolder(path)) && {
    name: path,
    async open(file) {
      const handle = await originFile(`${path}/${file}`);
      return handle && byteSource(await handle.getFile(), `${path}/${file}`);
    },
  };

export const writeFileAside: typeof node.writeFileAside = writeOriginFile;
