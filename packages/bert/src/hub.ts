import type { ListFileEntry } from "@huggingface/hub";
import { createHash, randomBytes, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  utimes,
} from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { check, HubError } from "./errors.ts";
import { openFile, writeFileAside } from "./file-system.ts";
import type { Folder } from "./files.ts";
import { globMatcher } from "./glob.ts";
import { backoffMs, hubFetch, type HubFetch } from "./hub-fetch.ts";
import { progressOnStderr, type OnProgress } from "./hub-progress.ts";

/** Where to look and what to say; every default is the environment's, as in Python's `huggingface_hub`. */
export interface HubOptions {
  /** A branch, a tag or a commit. Default `main`. */
  revision?: string;
  /** Default HF_TOKEN, then the file that `hf auth login` writes ($HF_HOME/token). `false` sends none. */
  token?: string | false;
  /** Default HF_ENDPOINT, then https://huggingface.co. */
  endpoint?: string;
  /** Default HF_HUB_CACHE, then $HF_HOME/hub, then ~/.cache/huggingface/hub. */
  cacheDir?: string;
  /** Ask nobody, use what the cache holds. Default HF_HUB_OFFLINE. */
  offline?: boolean;
  /** Told about each download. Default: bars on a terminal's stderr, lines elsewhere, nothing with HF_HUB_DISABLE_PROGRESS_BARS=1. */
  onProgress?: OnProgress;
  /** The pause before the first new try, in milliseconds; it doubles with each. A server's Retry-After comes first. Default 500. */
  retryMs?: number;
}

/** A repository of the Hub. */
export interface HubRepo extends HubOptions {
  /** `namespace/name`; old names without a namespace (`bert-base-uncased`, `imdb`) redirect. */
  repo: string;
  /** Default `model`. */
  type?: "model" | "dataset";
}

/** What a model and its tokenizer need. */
const modelFiles: readonly string[] = [
  "config.json",
  "model*.safetensors",
  "model.safetensors.index.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
];

/**
 * Downloads a file into the standard cache, `models--org--name/snapshots/<commit>/<path>`, and gives its path there.
 * A file that the cache holds is not downloaded again. What is downloaded or found is compared with its SHA-256 (large
 * files) or git blob id; a broken download goes on where it stopped, and only whole files get their name.
 *
 * @throws {@link HubError} whose `code` says why: no such repository, revision or file, gated, offline, network, damaged.
 */
export async function fetchFromHub({ path, ...repo }: HubRepo & { path: string }): Promise<string> {
  const hub = hubRepo(repo);
  const found = await hub.file(path);
  if (found) return found;
  throw hub.noSuchFile(path);
}

/**
 * A local folder that has the wanted files: `idOrFolder` itself where that is a folder, else the snapshot in the cache.
 *
 * @param files Names or patterns (`*` matches anything, `?` one character); those that match nothing are left out.
 * @throws {@link HubError} as {@link fetchFromHub} does, and when none of the files exists.
 */
export async function fetchFolder(
  idOrFolder: string,
  { type = "model", files = modelFiles, ...options }: Omit<HubRepo, "repo"> & { files?: readonly string[] } = {},
): Promise<string> {
  if (await isFolder(idOrFolder)) return idOrFolder;
  const hub = hubRepo({ repo: repoId(idOrFolder), type, ...options });
  const matchers = files.map((pattern) => globMatcher(pattern.replaceAll("*", "**")));
  const wanted = (await hub.list()).filter((path) => matchers.some((matches) => matches(path)));
  if (wanted.length === 0) throw hub.noSuchFile(files.join(", "));
  let folder = "";
  for (const path of wanted) folder = (await hub.file(path))!.slice(0, -path.length - 1);
  return folder;
}

/** A local folder, or a repository of the Hub whose files are downloaded when they are opened. */
export async function openFolder(idOrFolder: string, options: Omit<HubRepo, "repo"> = {}): Promise<Folder> {
  if (await isFolder(idOrFolder))
    return {
      name: idOrFolder,
      open: async (file) => ((await isFile(join(idOrFolder, file))) ? openFile(join(idOrFolder, file)) : undefined),
    };
  const hub = hubRepo({ repo: repoId(idOrFolder), ...options });
  return {
    name: idOrFolder,
    async open(file) {
      const path = await hub.file(file);
      return path === undefined ? undefined : openFile(path);
    },
  };
}

/** The paths of all files of a repository; offline, of those in the cache. */
export const listHubFiles = (repo: HubRepo): Promise<string[]> => hubRepo(repo).list();

const isFile = (path: string) => stat(path).then((s) => s.isFile(), () => false); // prettier-ignore
const isFolder = (path: string) => stat(path).then((s) => s.isDirectory(), () => false); // prettier-ignore

function repoId(name: string): string {
  check(
    /^[\w.-]+(\/[\w.-]+)?$/.test(name) && !/^\.|\.\.|\/\./.test(name),
    () => `${name}: no such folder, and no id of a repository either (ids look like google-bert/bert-base-uncased).`,
  );
  return name;
}

export const isTrue = (value: string | undefined) => /^(1|on|yes|true)$/i.test(value ?? "");

/** Settings as `huggingface_hub` reads them from the environment. */
export function hubSettings(options: HubOptions) {
  const env = process.env;
  const home = env["HF_HOME"] ?? join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "huggingface");
  return {
    endpoint: (options.endpoint ?? (env["HF_ENDPOINT"] || "https://huggingface.co")).replace(/\/+$/, ""),
    cacheDir: options.cacheDir ?? env["HF_HUB_CACHE"] ?? env["HUGGINGFACE_HUB_CACHE"] ?? join(home, "hub"),
    offline: options.offline ?? isTrue(env["HF_HUB_OFFLINE"]),
    token: async () =>
      options.token === false
        ? undefined
        : options.token ||
          env["HF_TOKEN"]?.trim() ||
          (await readFile(env["HF_TOKEN_PATH"] ?? join(home, "token"), "utf8").catch(() => "")).trim() ||
          undefined,
    onProgress: options.onProgress ?? (isTrue(env["HF_HUB_DISABLE_PROGRESS_BARS"]) ? () => {} : progressOnStderr()),
  };
}

/** A file as the Hub describes it. */
interface RemoteFile {
  path: string;
  size: number;
  /** Its name among the blobs: SHA-256 of a large file, git blob id of a small one. */
  etag: string;
}

function hubRepo({ repo, type = "model", ...options }: HubRepo) {
  repoId(repo);
  const { endpoint, cacheDir, offline, token, onProgress } = hubSettings(options);
  const { retryMs = 500 } = options;
  const revision = options.revision ?? "main";
  const storage = join(cacheDir, [`${type}s`, ...repo.split("/")].join("--"));
  const fetchWithToken = once(async () => hubFetch({ repo, type, revision, endpoint, token: await token(), retryMs }));
  /** What every call of `@huggingface/hub` takes. */
  const call = async () => ({ repo: { type, name: repo }, hubUrl: endpoint, fetch: await fetchWithToken() });
  const remote = new Map<string, RemoteFile>();

  const isCommit = /^[0-9a-f]{40}$/.test(revision);
  const ref = join(storage, "refs", revision);
  const cachedCommit = async () =>
    isCommit ? revision : await readFile(ref, "utf8").then((text) => text.trim(), () => undefined); // prettier-ignore

  /** The commit that `revision` means, and whether the Hub can be asked about its files. */
  const commit = once(async (): Promise<{ id: string; online: boolean }> => {
    if (isCommit) return { id: revision, online: !offline };
    if (!offline) {
      try {
        const { datasetInfo, modelInfo } = await import("@huggingface/hub");
        const params = { name: repo, revision, ...(await call()) };
        const { sha } = await (type === "model"
          ? modelInfo({ ...params, additionalFields: ["sha"] })
          : datasetInfo({ ...params, additionalFields: ["sha"] }));
        return { id: sha, online: true };
      } catch (error) {
        if (!(error instanceof HubError && error.code === "network")) throw error;
        const cached = await cachedCommit();
        if (!cached) throw error;
        onProgress({ repo, file: "", loaded: 0, total: 0, status: "note", message: `${error.message} Going on with the cached files.` }); // prettier-ignore
        return { id: cached, online: false };
      }
    }
    const cached = await cachedCommit();
    if (cached) return { id: cached, online: false };
    throw new HubError(
      "offline",
      `${repo}: revision ${revision} is not in ${cacheDir}, and HF_HUB_OFFLINE is set. Unset it, or fetch the ${type} once while online.`,
    );
  });

  /** The path of a file in the cache, downloaded if need be; undefined when the repository has no such file. */
  async function file(path: string): Promise<string | undefined> {
    check(
      !/^[/\\]|^[a-z]:|(^|[/\\])\.\.([/\\]|$)/i.test(path) && path !== "",
      () => `${repo}: "${path}" is no path inside of a repository.`,
    );
    const { id, online } = await commit();
    const pointer = join(storage, "snapshots", id, path);
    const blob = await realpath(pointer).catch(() => undefined);
    if (blob) {
      const damage = await damageOf(blob);
      if (!damage) return pointer;
      if (!online)
        throw new HubError(
          "damaged",
          `${repo}: ${path}: the cached file is damaged: ${damage}. Delete ${blob} and go online.`,
        );
      await rm(blob, { force: true });
      await rm(pointer, { force: true });
    }
    if (!online) return undefined;

    const info = remote.get(path) ?? (await describe(path));
    if (!info) return undefined;
    const target = join(storage, "blobs", info.etag);
    if (await damageOf(target, info.size)) {
      await rm(target, { force: true });
      const url = `${endpoint}/${type === "model" ? "" : `${type}s/`}${repo}/resolve/${id}/${path.split("/").map(encodeURIComponent).join("/")}`;
      await download({ repo, ...info, url, target, fetch: await fetchWithToken(), retryMs, onProgress });
    }
    await link(target, pointer);
    if (!isCommit && (await cachedCommit()) !== id) await writeFileAside(ref, id);
    return pointer;
  }

  async function describe(path: string): Promise<RemoteFile | undefined> {
    const { pathsInfo } = await import("@huggingface/hub");
    const [info] = await pathsInfo({ ...(await call()), paths: [path], revision: (await commit()).id });
    return info?.type === "file" ? remoteFile(info) : undefined;
  }

  /** Paths of all files; of those in the cache when the Hub cannot be asked. */
  async function list(): Promise<string[]> {
    const { id, online } = await commit();
    if (!online) {
      const folder = join(storage, "snapshots", id);
      const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
      return entries.filter((e) => !e.isDirectory()).map((e) => relative(folder, join(e.parentPath, e.name)).replaceAll("\\", "/")); // prettier-ignore
    }
    const { listFiles } = await import("@huggingface/hub");
    for await (const entry of listFiles({ ...(await call()), revision: id, recursive: true }))
      if (entry.type === "file") remote.set(entry.path, remoteFile(entry));
    return [...remote.keys()];
  }

  const noSuchFile = (path: string) =>
    offline
      ? new HubError(
          "offline",
          `${repo}: ${path} is not in ${cacheDir}, and HF_HUB_OFFLINE is set. Unset it, or fetch the file once while online.`,
        )
      : new HubError(
          "entry-not-found",
          `${repo}: no file ${path} at revision ${revision}. See ${endpoint}/${type === "model" ? "" : `${type}s/`}${repo}/tree/${revision}`,
        );
  return { file, list, noSuchFile };
}

const once = <T>(make: () => Promise<T>) => {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
};

function remoteFile({ path, size, oid, lfs }: Pick<ListFileEntry, "path" | "size" | "oid" | "lfs">): RemoteFile {
  const etag = lfs?.oid ?? oid;
  check(
    /^([0-9a-f]{64}|[0-9a-f]{40})$/.test(etag ?? ""),
    () => `${path}: the Hub gives no hash to check it against (${etag}).`,
  );
  return { path, size: lfs?.size ?? size, etag: etag! };
}

/** The hash whose hexadecimal digest is `etag`: SHA-256 of a large file, git's blob id (SHA-1 with a prefix) of a small one. */
export const hashFor = (etag: string, size: number): Hash =>
  etag.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

export async function hashFile(path: string, hash: Hash): Promise<Hash> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash;
}

const known = new Set<string>(); // blobs that this process has found whole

/** What is wrong with a blob; undefined when its content has the hash that its name says. */
async function damageOf(blob: string, size?: number): Promise<string | undefined> {
  const info = await stat(blob).catch(() => undefined);
  if (!info) return "it is missing";
  const etag = basename(blob);
  const identity = `${blob} ${info.size} ${info.mtimeMs}`;
  if (known.has(identity) || !/^([0-9a-f]{64}|[0-9a-f]{40})$/.test(etag)) return undefined; // a copy, where links are not to be had
  if (size !== undefined && info.size !== size) return `it has ${info.size} bytes instead of ${size}`;
  const digest = (await hashFile(blob, hashFor(etag, info.size))).digest("hex");
  if (digest !== etag) return `its hash is ${digest} instead of ${etag}`;
  known.add(identity);
  return undefined;
}

/** Puts `blob` into the snapshot: a relative link, or a copy where the system refuses links. */
async function link(blob: string, pointer: string): Promise<void> {
  await mkdir(dirname(pointer), { recursive: true });
  const aside = `${pointer}.${randomBytes(4).toString("hex")}.tmp`;
  await symlink(relative(dirname(pointer), blob), aside).catch(() => copyFile(blob, aside));
  await rename(aside, pointer);
}

const heartbeatMs = 1000;
/** A partial file that has not been touched for so long belongs to nobody any more. */
const abandonedMs = 5000;

/**
 * A partial file of our own, `<target>.<random>.incomplete`, begun or taken over; undefined when `target` has appeared.
 * The file is the lock: its owner touches it every second, and others wait for as long as it is touched. Taking over is
 * a rename, which only one process can do. Should two download at once after all, each writes a file of its own.
 */
async function claimPartial(target: string): Promise<string | undefined> {
  const folder = dirname(target);
  const name = basename(target);
  await mkdir(folder, { recursive: true });
  const isPartial = (f: string) => f.startsWith(`${name}.`) && f.endsWith(".incomplete");
  const mine = join(folder, `${name}.${randomBytes(6).toString("hex")}.incomplete`);
  for (; ; await sleep(300)) {
    if (await isFile(target)) return undefined;
    const partials = (await readdir(folder)).filter(isPartial).map((f) => join(folder, f));
    const ages = await Promise.all(partials.map((f) => stat(f).then((s) => Date.now() - s.mtimeMs, () => NaN))); // prettier-ignore
    if (ages.some((age) => age < abandonedMs)) continue;
    const left = partials.find((_, i) => ages[i]! >= abandonedMs);
    if (left) {
      if (await rename(left, mine).then(() => true, () => false)) return touch(mine); // prettier-ignore
      continue;
    }
    await (await open(mine, "wx")).close();
    const rivals = (await readdir(folder)).filter(isPartial).sort();
    if (rivals[0] === basename(mine)) return mine;
    await rm(mine); // begun at the same moment by several: the first by name goes on
  }
}

async function touch(path: string, time = new Date()): Promise<string> {
  await utimes(path, time, time);
  return path;
}

interface Download extends RemoteFile {
  repo: string;
  url: string;
  target: string;
  fetch: HubFetch;
  retryMs: number;
  onProgress: OnProgress;
}

/** Tries in a row that bring no new byte. */
const maxFruitlessTries = 5;
/** Whole downloads with a wrong hash. */
const maxDamaged = 3;
/** A connection that brings nothing for so long is given up and opened anew. */
const stallMs = 30_000;

/** Downloads to `target`, resuming what an earlier try left; `target` appears when it is whole and its hash is right. */
async function download({ repo, path, size, etag, url, target, fetch, retryMs, onProgress }: Download): Promise<void> {
  const partial = await claimPartial(target);
  if (!partial) return;
  const heartbeat = setInterval(() => void touch(partial).catch(() => {}), heartbeatMs);
  heartbeat.unref();
  const handle = await open(partial, "r+");
  let loaded = 0;
  let hash = hashFor(etag, size);
  const report = (status: "downloading" | "done" | "failed" | "note", message?: string) =>
    onProgress({ repo, file: path, loaded, total: size, status, ...(message && { message }) });
  const startOver = async () => {
    await handle.truncate(0);
    loaded = 0;
    hash = hashFor(etag, size);
  };

  try {
    loaded = (await handle.stat()).size;
    if (loaded > size) await startOver();
    else await hashFile(partial, hash);
    report("downloading");

    let fruitless = 0;
    for (let damaged = 0; ;) {
      const before = loaded;
      let broken: unknown;
      if (loaded < size) {
        const response = await fetch(url, loaded > 0 ? { headers: { Range: `bytes=${loaded}-` } } : {});
        if (loaded > 0 && response.status !== 206) await startOver(); // the server does not resume
        try {
          for await (const chunk of chunksOf(response)) {
            await handle.write(chunk, 0, chunk.length, loaded);
            hash.update(chunk);
            loaded += chunk.length;
            report("downloading");
          }
          broken = `the connection ended after ${loaded} of ${size} bytes`;
        } catch (error) {
          broken = reason(error);
        }
      }
      if (loaded >= size) {
        const digest = hash.digest("hex");
        if (loaded === size && digest === etag) break;
        damaged++;
        const what =
          loaded === size ? `its hash is ${digest}, the Hub says ${etag}` : `${loaded} bytes came instead of ${size}`;
        await startOver();
        if (damaged === maxDamaged)
          throw new HubError(
            "damaged",
            `${repo}: ${path}: arrived damaged ${damaged} times: ${what}. Is there a proxy in between? Try again later.`,
          );
        report("note", `${path}: arrived damaged (${what}); starting over`);
        continue;
      }
      fruitless = loaded > before ? 0 : fruitless + 1;
      if (fruitless > maxFruitlessTries)
        throw new HubError(
          "network",
          `${repo}: ${path}: ${String(broken)}, ${fruitless} times in a row. What has arrived is kept: run it again to go on.`,
        );
      report("note", `${path}: ${String(broken)}; going on from byte ${loaded}`);
      await sleep(fruitless === 0 ? 0 : backoffMs(retryMs, fruitless));
    }

    await handle.sync();
    await handle.close();
    await rename(partial, target);
    report("done");
  } catch (error) {
    report("failed");
    await handle.close().catch(() => {});
    if (loaded === 0) await rm(partial, { force: true });
    else await touch(partial, new Date(0)).catch(() => {}); // free for whoever comes next
    throw error;
  } finally {
    clearInterval(heartbeat);
  }
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body!.getReader();
  try {
    for (;;) {
      const stalled = new AbortController();
      const timeout = sleep(stallMs, undefined, { signal: stalled.signal, ref: false }).then(() => {
        throw new Error(`nothing came for ${stallMs / 1000} s`);
      });
      const { done, value } = await Promise.race([reader.read(), timeout]).finally(() => stalled.abort());
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

const reason = (error: unknown) =>
  error instanceof Error
    ? error.cause instanceof Error
      ? `${error.message}: ${error.cause.message}`
      : error.message
    : String(error);
