import { check } from "@gpugrad/tensor";
import { hubApi, type RemoteFile } from "./api.ts";
import { download, type PartialFile } from "./download.ts";
import { HubError } from "./errors.ts";
import { hubFetch } from "./fetch.ts";
import { isCommit, isInnerPath, pageOf, repoId, revisionName } from "./names.ts";
import type { OnProgress } from "../opener.ts";

/** Where files of a repository are kept, by commit: a folder, or a browser's Cache Storage. `Place` is what a file is there. */
export interface HubStore<Place> {
  /** What messages call it. */
  readonly name: string;
  /** The commit that a branch or tag meant when the Hub was last asked. */
  readCommit(revision: string): Promise<string | undefined>;
  writeCommit(revision: string, commit: string): Promise<void>;
  /** A file that is kept, and what is wrong with it; undefined when there is none. */
  find(commit: string, path: string): Promise<{ place: Place; damage: string | undefined } | undefined>;
  /** Paths of the files that are kept of a commit. */
  list(commit: string): Promise<string[]>;
  /** Keeps a file, whose content `fill` gets where it is not there yet. */
  add(commit: string, file: RemoteFile, fill: (partial: PartialFile) => Promise<void>): Promise<Place>;
  /** Deletes the commits that no branch or tag means any more, and content of theirs alone. */
  clearOld(): Promise<string[]>;
}

export interface RepoSettings {
  repo: string;
  type: "model" | "dataset";
  revision: string;
  endpoint: string;
  offline: boolean;
  token: () => Promise<string | undefined>;
  retryMs: number;
  userAgent?: string;
  onProgress: OnProgress;
}

/** A repository as it is at one commit: that which `revision` means when it is first asked for something. */
export function hubRepo<Place>(settings: RepoSettings, store: HubStore<Place>) {
  const { type, endpoint, offline, token, onProgress, retryMs } = settings;
  const repo = repoId(settings.repo);
  const revision = revisionName(repo, settings.revision);
  const page = pageOf(endpoint, type, repo);
  const fetchWithToken = once(async () => hubFetch({ ...settings, token: await token() }));
  const api = once(async () => hubApi({ repo, type, endpoint, fetch: await fetchWithToken(), retryMs }));
  const remote = new Map<string, RemoteFile>();
  const cachedCommit = async () => (isCommit(revision) ? revision : store.readCommit(revision));

  /** The commit, and whether the Hub can be asked about its files. */
  const commit = once(async (): Promise<{ id: string; online: boolean }> => {
    if (isCommit(revision)) return { id: revision, online: !offline };
    if (!offline) {
      try {
        return { id: await (await api()).commitOf(revision), online: true };
      } catch (error) {
        if (!(error instanceof HubError && ["network", "rate-limited"].includes(error.code))) throw error;
        const cached = await cachedCommit();
        if (!cached) throw error;
        const message = `${error.message} Continuing with the files in ${store.name}.`;
        onProgress({ repo, file: "", loaded: 0, total: 0, status: "note", message });
        return { id: cached, online: false };
      }
    }
    const cached = await cachedCommit();
    if (cached) return { id: cached, online: false };
    throw new HubError(
      "offline",
      `${repo}: revision ${revision} is not in ${store.name}, and HF_HUB_OFFLINE is set. Unset it, or fetch the ${type} once while online.`,
    );
  });

  /** A file in the store, downloaded if need be; undefined when the repository has no such file. */
  async function file(path: string): Promise<Place | undefined> {
    check(isInnerPath(path), () => `${repo}: ${JSON.stringify(path)} is not a path inside of a repository.`);
    const { id, online } = await commit();
    const found = await store.find(id, path);
    if (found && found.damage === undefined) return found.place;
    if (found && !online)
      throw new HubError(
        "damaged",
        `${repo}: ${path}: the cached file is damaged: ${found.damage}. Go online to fetch it again, or delete it from ${store.name}.`,
      );
    if (!online) return undefined;

    const info = remote.get(path) ?? (await (await api()).file(id, path));
    if (!info) return undefined;
    const request = { repo, ...info, url: (await api()).urlOf(id, path), fetch: await fetchWithToken() };
    const place = await store.add(id, info, (partial) => download({ ...request, retryMs, onProgress }, partial));
    if ((await cachedCommit()) !== id) await store.writeCommit(revision, id);
    return place;
  }

  /** Paths of all files; of those in the store when the Hub cannot be asked. */
  async function list(): Promise<string[]> {
    const { id, online } = await commit();
    if (!online) return store.list(id);
    for (const info of await (await api()).files(id)) remote.set(info.path, info);
    return [...remote.keys()];
  }

  const noSuchFile = (path: string) =>
    offline
      ? new HubError(
          "offline",
          `${repo}: ${path} is not in ${store.name}, and HF_HUB_OFFLINE is set. Unset it, or fetch the file once while online.`,
        )
      : new HubError(
          "entry-not-found",
          `${repo}: no file ${path} at revision ${revision}. See ${page}/tree/${revision}`,
        );
  return { file, list, noSuchFile, commit, page, clearOld: () => store.clearOld() };
}

/** Makes something when it is first asked for; what failed is tried again. */
export const once = <T>(make: () => Promise<T>) => {
  let made: Promise<T> | undefined;
  return () =>
    (made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    }));
};
