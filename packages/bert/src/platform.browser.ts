import { GpugradError, HubError } from "./errors.ts";
import { byteSource, type Folder } from "./files.ts";
import type * as node from "./platform.node.ts";

const noFileSystem = (what: string) => (): never => {
  throw new GpugradError(
    `${what}: a browser has no file system. Pass bytes, a Blob, or files by name (folderOf) instead.`,
  );
};

export const openFile: typeof node.openFile = noFileSystem("open");
export const writeFileAside: typeof node.writeFileAside = noFileSystem("write");
export const fetchFolder: typeof node.fetchFolder = noFileSystem("fetchFolder");
export const fetchFromHub: typeof node.fetchFromHub = noFileSystem("fetchFromHub");
export const clearOldCommits: typeof node.clearOldCommits = noFileSystem("clearOldCommits");
export const listHubFiles: typeof node.listHubFiles = noFileSystem("listHubFiles");
export const createRepo: typeof node.createRepo = noFileSystem("createRepo");
export const notForTheHub: typeof node.notForTheHub = noFileSystem("notForTheHub");
export const pushToHub: typeof node.pushToHub = noFileSystem("pushToHub");
export const progressOnStderr: typeof node.progressOnStderr = noFileSystem("progressOnStderr");

/**
 * A repository of the Hub, or the folder at an address (`/models/mine`, `https://…`). Files are kept in the browser's
 * Cache Storage, where that exists, by their address.
 */
export const openFolder: typeof node.openFolder = (idOrFolder, options = {}) => {
  const { endpoint = "https://huggingface.co", type = "model", revision = "main", token, onProgress } = options;
  const isAddress = /^(https?:)?\/|^\.\.?\//.test(idOrFolder);
  const base = isAddress
    ? idOrFolder.replace(/\/+$/, "")
    : `${endpoint}/${type === "model" ? "" : `${type}s/`}${idOrFolder}/resolve/${encodeURIComponent(revision)}`;
  const headers: HeadersInit = token && !isAddress ? { Authorization: `Bearer ${token}` } : {};

  const folder: Folder = {
    name: idOrFolder,
    async open(file) {
      const url = `${base}/${file}`;
      const cache = isAddress ? undefined : await globalThis.caches?.open("gpugrad").catch(() => undefined);
      const cached = await cache?.match(url);
      if (cached) return byteSource(await cached.blob(), url);

      const response = await fetch(url, { headers });
      if (response.status === 404 && (isAddress || response.headers.get("X-Error-Code") === "EntryNotFound"))
        return undefined;
      if (!response.ok)
        throw new HubError(
          "network",
          `${url}: ${response.status} ${response.statusText}. Is the name right, and the token?`,
        );
      const blob = await inPieces(response, (loaded, total) =>
        onProgress?.({ repo: idOrFolder, file, loaded, total, status: loaded === total ? "done" : "downloading" }),
      );
      await cache?.put(url, new Response(blob)).catch(() => {}); // a full disk only costs the next download
      return byteSource(blob, url);
    },
  };
  return Promise.resolve(folder);
};

async function inPieces(response: Response, onBytes: (loaded: number, total: number) => void): Promise<Blob> {
  const encoded = response.headers.has("Content-Encoding"); // the length is then that of the compressed bytes
  const total = encoded ? 0 : Number(response.headers.get("Content-Length"));
  const pieces: BlobPart[] = [];
  let loaded = 0;
  const reader = response.body!.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    pieces.push(read.value);
    onBytes((loaded += read.value.length), total || loaded + 1);
  }
  if (total > 0 && loaded !== total)
    throw new HubError(
      "network",
      `${response.url}: the connection ended after ${loaded} of ${total} bytes. Try again.`,
    );
  return new Blob(pieces);
}
