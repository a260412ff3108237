import { check } from "@gpugrad/tensor";

/** A commit as the Hub names it. */
export const isCommit = (name: string): boolean => /^[0-9a-f]{40}$/.test(name);

/** The hash of a file's content: SHA-256 of a large file, git's blob id of a small one. */
export const isHash = (name: unknown): name is string =>
  typeof name === "string" && /^([0-9a-f]{64}|[0-9a-f]{40})$/.test(name);

const isWindows = typeof process !== "undefined" && process.platform === "win32";

/**
 * Whether a path stays below the folder that it is joined to, on every system: folders and a name separated by `/`.
 * What Windows alone reserves (`con`, `a:b`, a dot at the end) is refused on Windows alone.
 */
export function isInnerPath(path: unknown, onWindows = isWindows): path is string {
  if (typeof path !== "string" || path.length > 4096 || /[\p{Cc}\p{Cs}\\]|^[a-z]:/iu.test(path)) return false;
  const isReserved = (part: string): boolean =>
    /[<>:"|?*]|[. ]$|^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³]) *(\.|$)/i.test(part);
  return path.split("/").every((part) => !["", ".", ".."].includes(part) && !(onWindows && isReserved(part)));
}

/** `name` where it can be the id of a repository: one or two names by the Hub's rules. @throws when it can't */
export function repoId(name: string, what = "no such folder, and not the id of a repository either"): string {
  check(
    name.length <= 96 && /^\w[\w.-]*(\/\w[\w.-]*)?$/.test(name) && !/--|\.\.|[.-](\/|$)|\.git$/.test(name),
    () => `${name}: ${what} (ids look like google-bert/bert-base-uncased).`,
  );
  return name;
}

/** `revision` where it can be a branch, a tag or a commit: it becomes part of a path. @throws when it can't */
export function revisionName(repo: string, revision: string): string {
  check(
    isInnerPath(revision),
    () => `${repo}: revision ${JSON.stringify(revision)}: not the name of a branch, a tag or a commit.`,
  );
  return revision;
}

/** The address of the Hub, without a slash at its end. @throws when it is none */
export function endpointOf(address: string): string {
  check(
    URL.canParse(address) && /^https?:$/.test(new URL(address).protocol),
    () => `HF_ENDPOINT: ${address}: not an http or https address. Leave it unset for https://huggingface.co.`,
  );
  return address.replace(/\/+$/, "");
}

/** A path in an address. */
export const encodePath = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

/** The address of a repository's page, which those of its files begin with. */
export const pageOf = (endpoint: string, type: "model" | "dataset", repo: string): string =>
  `${endpoint}/${type === "model" ? "" : `${type}s/`}${repo}`;
