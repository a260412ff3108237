import { byteSource, type ByteSource, type Folder } from "@gpugrad/nn";
import { GpugradError } from "@gpugrad/tensor";
import { HubError } from "./errors.ts";
import { chunksOf } from "./fetch.ts";
import type * as node from "./hub.node.ts";
import { encodePath, endpointOf } from "./names.ts";
import type { HubRepo } from "./settings.ts";

const noFileSystem = (what: string) => (): never => {
  throw new GpugradError(
    `${what}: a browser has no file system. Pass bytes, a Blob, or files by name (folderOf) instead.`,
  );
};

export const fetchFolder: typeof node.fetchFolder = noFileSystem("fetchFolder");
export const fetchFromHub: typeof node.fetchFromHub = noFileSystem("fetchFromHub");
export const createRepo: typeof node.createRepo = noFileSystem("createRepo");
export const notForTheHub: typeof node.notForTheHub = noFileSystem("notForTheHub");
export const pushToHub: typeof node.pushToHub = noFileSystem("pushToHub");
export const progressOnStderr: typeof node.progressOnStderr = noFileSystem("progressOnStderr");

/** A repository whose files are kept in the browser's Cache Storage. Pages that open addresses alone never load what it takes. */
async function openRepo({ repo, type = "model", revision = "main", retryMs = 500, ...options }: HubRepo) {
  const [{ hubRepo }, { cacheStorageStore }] = await Promise.all([
    import("./repository.ts"),
    import("./cache-storage.ts"),
  ]);
  const endpoint = endpointOf(options.endpoint ?? "https://huggingface.co");
  const { offline = globalThis.navigator?.onLine === false, token, onProgress = () => undefined } = options;
  const settings = { repo, type, revision, retryMs, endpoint, offline, onProgress };
  return hubRepo(
    { ...settings, token: () => Promise.resolve(token || undefined) },
    cacheStorageStore(endpoint, type, repo),
  );
}

export const listHubFiles: typeof node.listHubFiles = async (repo) => (await openRepo(repo)).list();

export const clearOldCommits: typeof node.clearOldCommits = async (repo) => (await openRepo(repo)).clearOld();

/**
 * A repository of the Hub, or the folder at an address (`/models/mine`, `https://…`). Files of a repository are all of the
 * commit that the revision means when the first is opened; they are kept in the browser's Cache Storage, where that
 * exists, by their hash.
 */
export const openFolder: typeof node.openFolder = async (idOrFolder, options = {}) => {
  if (/^(https?:)?\/|^\.\.?\//.test(idOrFolder)) {
    const base = idOrFolder.replace(/\/+$/, "");
    return { name: idOrFolder, open: (file) => openAddress(`${base}/${file}`) };
  }
  const { token, onProgress } = options;
  const hub = await openRepo({ ...options, repo: idOrFolder });
  const folder: Folder = {
    name: idOrFolder,
    async open(file) {
      const content = await hub.file(file);
      const { id, online } = await hub.commit();
      const url = `${hub.page}/resolve/${id}/${encodePath(file)}`;
      if (content || !online) return content && byteSource(content, url);
      // A mirror may have files that it does not list: without a hash, so that they are not kept.
      const report = (loaded: number, total: number) =>
        onProgress?.({ repo: idOrFolder, file, loaded, total, status: loaded === total ? "done" : "downloading" });
      return openAddress(url, token ? { Authorization: `Bearer ${token}` } : {}, report);
    },
  };
  return folder;
};

/** A file at an address; undefined where there is none. */
async function openAddress(url: string, headers: HeadersInit = {}, onBytes?: OnBytes): Promise<ByteSource | undefined> {
  const response = await fetch(url, { headers });
  if (response.status === 404) return undefined;
  if (!response.ok)
    throw new HubError(
      "network",
      `${url}: ${response.status} ${response.statusText}. Is the name right, and the token?`,
    );
  return byteSource(await inPieces(response, onBytes), url);
}

type OnBytes = (loaded: number, total: number) => void;

async function inPieces(response: Response, onBytes?: OnBytes): Promise<Blob> {
  const encoded = response.headers.has("Content-Encoding"); // the length is then that of the compressed bytes
  const total = encoded ? 0 : Number(response.headers.get("Content-Length"));
  const pieces: BlobPart[] = [];
  let loaded = 0;
  for await (const chunk of chunksOf(response)) {
    pieces.push(chunk);
    loaded += chunk.length;
    onBytes?.(loaded, total || loaded + 1);
  }
  if (total > 0 && loaded !== total)
    throw new HubError(
      "network",
      `${response.url}: the connection ended after ${loaded} of ${total} bytes. Try again.`,
    );
  return new Blob(pieces);
}
