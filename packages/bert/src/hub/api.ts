import { HubError } from "./errors.ts";
import { addressOf, backoffMs, chunksOf, maxTries, reasonOf, sleep, type HubFetch } from "./fetch.ts";
import { encodePath, isCommit, isHash, isInnerPath, pageOf } from "./names.ts";

/** A file as the Hub describes it. */
export interface RemoteFile {
  /** Below the repository's root. */
  path: string;
  /** In bytes. */
  size: number;
  /** SHA-256 of a large file, git's blob id of a small one. */
  etag: string;
}

interface Settings {
  repo: string;
  type: "model" | "dataset";
  endpoint: string;
  fetch: HubFetch;
  retryMs: number;
}

/** An answer longer than this is not read to its end: a page of a listing has some 300 kB. */
const maxAnswerBytes = 32 * 2 ** 20;
const maxFiles = 500_000;
const maxPages = 5_000;

/**
 * What the Hub says about a repository. Nothing of an answer is taken as it comes: commits, hashes, sizes and paths that
 * can't be such are {@link HubError}s, and so are answers without end.
 */
export function hubApi({ repo, type, endpoint, fetch, retryMs }: Settings) {
  const base = `${endpoint}/api/${type}s/${repo}`;

  /** The commit that a branch, tag or commit means. */
  async function commitOf(revision: string): Promise<string> {
    const url = `${base}/revision/${encodeURIComponent(revision)}?expand=sha`;
    const { value } = await json(url);
    const sha = isObject(value) ? value["sha"] : undefined;
    if (typeof sha === "string" && isCommit(sha)) return sha;
    throw bad(url, `"sha" is ${shown(sha)}, not a commit of 40 hexadecimal digits`);
  }

  /** One file of a commit; undefined when there is none of this path. */
  async function file(commit: string, path: string): Promise<RemoteFile | undefined> {
    const url = `${base}/paths-info/${commit}`;
    const body = JSON.stringify({ paths: [path], expand: false });
    const { value } = await json(url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    return filesIn(value, url).find((found) => found.path === path);
  }

  /** All files of a branch, tag or commit. */
  async function files(revision: string): Promise<RemoteFile[]> {
    const url = new URL(`${base}/tree/${encodeURIComponent(revision)}?recursive=true&expand=false`);
    const found: RemoteFile[] = [];
    const asked = new Set<string>();
    for (;;) {
      asked.add(url.search);
      const { value, next } = await json(url.href);
      for (const file of filesIn(value, url.href)) found.push(file);
      if (next === undefined) return found;
      // The next page is taken from the same address: an answer can't send the reader, and the token, elsewhere.
      url.search = URL.canParse(next, url) ? new URL(next, url).search : "";
      if (asked.has(url.search)) throw bad(url.href, "its pages go in a circle");
      if (found.length > maxFiles || asked.size >= maxPages)
        throw bad(url.href, `it lists more than ${found.length} files on ${asked.size} pages`);
    }
  }

  /** Where a file's bytes are. */
  const urlOf = (commit: string, path: string): string =>
    `${pageOf(endpoint, type, repo)}/resolve/${encodeURIComponent(commit)}/${encodePath(path)}`;

  function filesIn(value: unknown, url: string): RemoteFile[] {
    if (!Array.isArray(value)) throw bad(url, `it is ${shown(value)}, not a list of files`);
    return value.flatMap((entry: unknown) => {
      if (!isObject(entry)) throw bad(url, `an entry is ${shown(entry)}, not a file`);
      if (entry["type"] !== "file") return [];
      const { path, lfs } = entry;
      const { oid: etag, size } = isObject(lfs) ? { ...lfs, size: lfs["size"] ?? entry["size"] } : entry;
      if (!isInnerPath(path)) throw bad(url, `a file's path is ${shown(path)}, which leads out of a repository`);
      if (!Number.isSafeInteger(size) || (size as number) < 0) throw bad(url, `${path} has ${shown(size)} bytes`);
      if (!isHash(etag)) throw bad(url, `${path} has the hash ${shown(etag)}, and nothing to compare with`);
      return [{ path, size: size as number, etag }];
    });
  }

  /** A JSON answer, and the address of its next page. */
  async function json(url: string, init?: RequestInit): Promise<{ value: unknown; next: string | undefined }> {
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(url, init);
      try {
        const value = JSON.parse(await textOf(response, url)) as unknown;
        const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(response.headers.get("Link")?.slice(0, 8192) ?? "")?.[1];
        return { value, next };
      } catch (error) {
        if (error instanceof HubError) throw error;
        if (attempt === maxTries) throw bad(url, `it is not whole JSON (${reasonOf(error)}), ${maxTries} times`);
      }
      await sleep(backoffMs(retryMs, attempt));
    }
  }

  async function textOf(response: Response, url: string): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let bytes = 0;
    for await (const chunk of chunksOf(response)) {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) throw bad(url, `it is longer than ${maxAnswerBytes / 2 ** 20} MiB`);
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }

  const bad = (url: string | URL, what: string): HubError =>
    new HubError(
      "bad-answer",
      `${repo}: ${addressOf(url)}: an answer that no Hub gives: ${what}. Is HF_ENDPOINT (${endpoint}) a Hub, or is there a proxy in between?`,
    );

  return { commitOf, file, files, urlOf };
}

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The beginning of a value for a message: of an answer, which may be long, or deep. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  return Array.isArray(value) ? "a list" : isObject(value) ? "an object" : String(value);
}
