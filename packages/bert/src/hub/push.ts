import { createHash } from "node:crypto";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import { check } from "@gpugrad/tensor";
import { hubApi, type RemoteFile } from "./api.ts";
import { HubError } from "./errors.ts";
import { hubFetch, mayNotWrite } from "./fetch.ts";
import { FileBlob } from "./file-blob.ts";
import { hashFile, hashFor } from "./hash.ts";
import { isInnerPath, pageOf, repoId, revisionName } from "./names.ts";
import { formatSize, progressOnStderr } from "./progress.ts";
import type { HubOptions } from "../opener.ts";
import { hubSettings, isTrue } from "./settings.ts";
import { holdsNoTexts, shareableFile } from "./shareable.ts";

/** A repository to be written to, and how. */
export interface RepoOptions extends Pick<HubOptions, "token" | "endpoint" | "retryMs"> {
  /** `namespace/name`, or a name alone: a repository of the token's user. */
  repo: string;
  /** Default `model`. */
  type?: "model" | "dataset";
  /** Whether a repository that is made is private. Default: what its owner has set, which is public for most. */
  private?: boolean;
}

/** What to upload, and where to. The repository is made where it is missing. */
export interface PushOptions extends RepoOptions, Pick<HubOptions, "onProgress"> {
  /** A branch, which is made where it is missing. Default `main`. */
  revision?: string;
  /** Default `Upload folder`. */
  commitMessage?: string;
  /** A folder in the repository. Default: its root. */
  pathInRepo?: string;
  /** Whether a file, by its path in the folder, is left out. Default: {@link notForTheHub}. */
  ignore?: (path: string) => boolean;
  /** Local paths besides the folder's own that no file may name. */
  secretPaths?: readonly string[];
  /** Whether files go out that may hold texts of the data: all that {@link holdsNoTexts} doesn't know. Default: of a dataset alone. */
  texts?: boolean;
  /** Called before anything is sent, with what will be, by name and size, and where to. Default: a note to `onProgress`. */
  announce?: (message: string, paths: readonly string[]) => void;
  signal?: AbortSignal;
}

/** What {@link pushToHub} did. */
export interface PushResult {
  /** `namespace/name`. */
  repo: string;
  /** Its page. */
  url: string;
  /** The commit that was made; undefined when all files were there already. */
  commit: string | undefined;
  /** Paths that were sent. */
  sent: string[];
  /** Paths that had been there with the same content. */
  unchanged: string[];
  /** Files that would have revealed a token or a local path, or may hold texts: they are not sent. */
  leftOut: { path: string; reason: string }[];
}

/** Checkpoints, optimizer states, locks and files that are being written: what a folder has beside a model. */
export const notForTheHub = (path: string): boolean =>
  /(^|\/)([_.]|checkpoint-\d+|(optimizer|scheduler|scaler|rng_state|progress)\b|checksums\.json$)|\.(tmp|incomplete|lock)(\/|$)/.test(
    path,
  );

/**
 * Uploads a folder to the Hub as a commit; files of equal content as a second one. Files that are there with the same hash are not sent again, nor are large ones that reached its
 * storage before an earlier upload broke off; a broken connection is tried again. No token and no local path is sent: JSON files keep of a
 * path what lies below `folder`; another file that holds one is left out, and named in the result; so is one that may hold texts of the data.
 *
 * @example
 * await pushToHub("output", { repo: "me/sentiment", private: true });
 *
 * @throws {@link HubError} whose `code` says why, and whose message says what to do.
 */
export async function pushToHub(folder: string, options: PushOptions): Promise<PushResult> {
  const { revision = "main", commitMessage = "Upload folder", pathInRepo = "", ignore = notForTheHub } = options;
  const { secretPaths = [], texts = options.type === "dataset", signal } = options;
  const isQuiet = isTrue(process.env["HF_HUB_DISABLE_PROGRESS_BARS"]);
  const onProgress = options.onProgress ?? (isQuiet ? () => undefined : progressOnStderr());
  check(
    pathInRepo === "" || isInnerPath(pathInRepo),
    () => `${options.repo}: pathInRepo: ${JSON.stringify(pathInRepo)} is not a path inside of a repository.`,
  );
  const { hub, repo, page, token, call, api } = await openRepo(options, revision);

  const sent = new Map<string, { loaded: number; total: number }>();
  const onSent = (file: string, bytes: number, total: number): void => {
    const loaded = (sent.get(file)?.loaded ?? 0) + bytes;
    sent.set(file, { loaded, total });
    onProgress({ repo, file, loaded, total, status: "uploading" });
  };
  /** Bytes that went out have not arrived: a file is done when its commit is made. */
  const settle = (status: "done" | "failed"): void => {
    for (const [file, counts] of sent) onProgress({ repo, file, ...counts, status });
    sent.clear();
  };
  const announce =
    options.announce ?? ((message) => onProgress({ repo, file: "", loaded: 0, total: 0, status: "note", message }));
  const { files, leftOut } = await filesToSend(folder, { ignore, token, secretPaths, texts, onSent });
  for (const { path, reason } of leftOut) {
    const message = `${path} is not uploaded: ${reason}`;
    onProgress({ repo, file: path, loaded: 0, total: 0, status: "note", message });
  }

  for (let attempt = 1; ; attempt++) {
    try {
      const remote = await filesThere();
      const changed: FileToSend[] = [];
      const unchanged: string[] = [];
      for (const { path, content } of files) {
        const inRepo = pathInRepo ? `${pathInRepo}/${path}` : path;
        if (await isSame(content, remote.get(inRepo))) unchanged.push(inRepo);
        else changed.push({ path: inRepo, content });
      }
      const done = { repo, url: revision === "main" ? page : `${page}/tree/${revision}`, unchanged, leftOut };
      if (changed.length === 0) return { ...done, commit: undefined, sent: [] };
      if (attempt === 1) announce(listOf(changed, page), changed.map(({ path }) => path)); // prettier-ignore
      let made;
      for (const part of await firstOfEach(changed)) {
        made = await hub.commit({
          ...call,
          branch: revision,
          title: commitMessage,
          operations: part.map((file) => ({ operation: "addOrUpdate", ...file })),
          useXet: false, // whole parts over HTTP, each of which can be tried again
          ...(signal && { abortSignal: signal }),
        });
        settle("done");
      }
      return { ...done, commit: made?.commit.oid, sent: changed.map(({ path }) => path) };
    } catch (error) {
      const isOvertaken = error instanceof HubError && error.code === "conflict" && attempt < 3;
      if (isOvertaken) continue; // another commit came in between: ours is made on top of it
      settle("failed");
      throw error;
    }
  }

  /** The files of the branch by their paths; the branch is made if need be. */
  async function filesThere(): Promise<Map<string, RemoteFile>> {
    const found = new Map<string, RemoteFile>();
    try {
      for (const file of await api.files(revision)) found.set(file.path, file);
    } catch (error) {
      if (!(error instanceof HubError && error.code === "revision-not-found")) throw error;
      if (revision === "main") return found; // a repository without a commit
      await hub.createBranch({ ...call, branch: revision });
      return filesThere();
    }
    return found;
  }
}

/**
 * Makes a repository where it is missing, and finds out whether the token may write: what an upload much later would fail of.
 * @returns its whole name, `namespace/name`
 * @throws {@link HubError} as {@link pushToHub} does
 */
export async function createRepo(options: RepoOptions): Promise<string> {
  const { hub, repo, call } = await openRepo(options, "main");
  const { auth } = await hub.whoAmI(call);
  if (auth.accessToken?.role === "read") throw mayNotWrite(repo, call.hubUrl, "it is read-only");
  return repo;
}

/** A repository that is there, made if need be, and what calls to it take. */
async function openRepo(options: RepoOptions, revision: string) {
  const { type = "model", retryMs = 500 } = options;
  const { endpoint, offline, token: findToken } = hubSettings(options);
  repoToWrite(options.repo);
  revisionName(options.repo, revision);
  if (offline)
    throw new HubError("offline", `${options.repo}: HF_HUB_OFFLINE is set, so nothing is uploaded. Unset it to push.`);
  const token = await findToken();
  if (!token)
    throw new HubError(
      "unauthorized",
      `${options.repo}: no token to upload with. Make one with write permission at ${endpoint}/settings/tokens, then set HF_TOKEN or run \`hf auth login\`.`,
    );
  const hub = await import("@huggingface/hub");
  const credentials = { accessToken: token as `hf_${string}`, hubUrl: endpoint };
  const fetchOf = (repo: string) => hubFetch({ repo, type, revision, endpoint, token, retryMs, writes: true });
  const repo = repoToWrite(
    options.repo.includes("/")
      ? options.repo
      : `${(await hub.whoAmI({ ...credentials, fetch: fetchOf(options.repo) })).name}/${options.repo}`,
  );
  const call = { repo: { type, name: repo }, ...credentials, fetch: fetchOf(repo) };
  const page = pageOf(endpoint, type, repo);
  const api = hubApi({ repo, type, endpoint, fetch: call.fetch, retryMs });
  try {
    await (type === "model" ? hub.modelInfo({ ...call, name: repo }) : hub.datasetInfo({ ...call, name: repo }));
  } catch (error) {
    const code = error instanceof HubError ? error.code : undefined;
    if (code === "repo-not-found") await make();
    else if (code !== "revision-not-found") throw error; // that one is there, without a commit
  }
  return { hub, repo, page, token, call, api };

  async function make(): Promise<void> {
    try {
      await hub.createRepo({ ...call, ...(options.private !== undefined && { private: options.private }) });
    } catch (error) {
      if (!(error instanceof HubError && error.code === "conflict")) throw error;
      throw new HubError(
        "conflict",
        `${repo}: the name is taken at ${endpoint}, by something that is not a ${type} this token can see. Choose another name, or a token of its owner.`,
      );
    }
  }
}

const repoToWrite = (repo: string): string =>
  repoId(repo, "not the id of a repository to upload to: a namespace and a name, or a name alone, without an address");

interface FileToSend {
  path: string;
  content: Blob;
}

async function isSame(content: Blob, remote: RemoteFile | undefined): Promise<boolean> {
  if (!remote || remote.size !== content.size) return false;
  const hash = hashFor(remote.etag, remote.size);
  if (content instanceof FileBlob) await hashFile(content.path, hash);
  else hash.update(new Uint8Array(await content.arrayBuffer()));
  return hash.digest("hex") === remote.etag;
}

/**
 * Files in one part, and those in a second that have the content of one in the first: their bytes are there by then, and don't go out twice.
 * The weights of a model and of its last checkpoint are such.
 */
async function firstOfEach(files: readonly FileToSend[]): Promise<FileToSend[][]> {
  const sizes = files.flatMap(({ content }) => (content instanceof FileBlob ? [content.size] : []));
  const mayBeTwice = new Set(sizes.filter((size, i) => sizes.indexOf(size) !== i));
  const known = new Set<string>();
  const parts: FileToSend[][] = [[], []];
  for (const file of files) {
    const { content } = file;
    const isLarge = content instanceof FileBlob && mayBeTwice.has(content.size);
    const hash = isLarge ? (await hashFile(content.path, createHash("sha256"))).digest("hex") : undefined;
    parts[hash !== undefined && known.has(hash) ? 1 : 0]!.push(file);
    if (hash !== undefined) known.add(hash);
  }
  return parts.filter((part) => part.length > 0);
}

/** `https://… : uploading 3 files, 91.2 MB: config.json (1 kB), …` */
function listOf(files: readonly FileToSend[], page: string): string {
  const total = files.reduce((sum, { content }) => sum + content.size, 0);
  const shown = files.slice(0, 40).map(({ path, content }) => `${path} (${formatSize(content.size)})`);
  const more = files.length > shown.length ? `, and ${files.length - shown.length} more` : "";
  return `${page}: uploading ${files.length} ${files.length === 1 ? "file" : "files"}, ${formatSize(total)}: ${shown.join(", ")}${more}`;
}

/** Files whose bytes are numbers: all others are searched for private data. */
const isWeights = (path: string): boolean => /\.(safetensors|bin|pt|pth|onnx|parquet)$/.test(path);

async function filesToSend(
  folder: string,
  {
    ignore,
    token,
    secretPaths,
    texts,
    onSent,
  }: {
    ignore: (path: string) => boolean;
    token: string;
    secretPaths: readonly string[];
    texts: boolean;
    onSent: (path: string, bytes: number, total: number) => void;
  },
): Promise<{ files: FileToSend[]; leftOut: PushResult["leftOut"] }> {
  const root = resolve(folder);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      throw new HubError(
        "entry-not-found",
        `${folder}: ${error.code === "ENOENT" ? "no such folder" : error.message}.`,
      );
    },
  );
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .filter((path) => !ignore(path))
    .sort();
  if (paths.length === 0) throw new HubError("entry-not-found", `${folder}: there is nothing in it to upload.`);

  const secrets = [
    { pattern: named(token), reason: "it holds the token" },
    { pattern: named(root, await realpath(root), ...secretPaths), reason: "it names the local folder" },
    ...(homedir() === "/" ? [] : [{ pattern: named(join(homedir(), "/")), reason: "it names a local path" }]),
  ];
  const files: FileToSend[] = [];
  const leftOut: PushResult["leftOut"] = [];
  for (const path of paths) {
    const file = join(root, path);
    const mayHoldTexts = !texts && !holdsNoTexts(path);
    if (isWeights(path) && !mayHoldTexts) {
      const { size } = await stat(file);
      files.push({ path, content: new FileBlob(file, size, (bytes) => onSent(path, bytes, size)) });
      continue;
    }
    const bytes = Buffer.from(shareableFile(path, await readFile(file), root));
    const text = bytes.toString();
    const secret = secrets.find(({ pattern }) => pattern.test(text));
    const reason =
      secret?.reason ?? (mayHoldTexts ? "it may hold texts of the data (texts: true sends it)" : undefined);
    if (reason !== undefined) leftOut.push({ path, reason });
    else files.push({ path, content: new Blob([new Uint8Array(bytes)]) });
  }
  return { files, leftOut };
}

/** Finds one of these texts, also as JSON writes them, where no longer word begins with it. */
function named(...texts: string[]): RegExp {
  const spellings = texts.flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]);
  const alternatives = spellings.map((text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|");
  return new RegExp(`(?:${alternatives})${/\w$/.test(texts[0]!) ? "(?![\\w-])" : ""}`);
}
