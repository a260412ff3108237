import { localFolder, openFile, type Folder } from "@gpugrad/nn";
import { folderStore } from "./cache-folder.ts";
import { notHere } from "./errors.ts";
import { globMatcher } from "./glob.ts";
import { repoId } from "./names.ts";
import { hubRepo } from "./repository.ts";
import { hubSettings, type HubRepo } from "./settings.ts";

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
 * files) or git blob id; a broken download continues where it stopped, and only whole files get their name.
 *
 * @throws {@link HubError} whose `code` says why: no such repository, revision or file, gated, offline, network, damaged.
 */
export async function fetchFromHub({ path, ...repo }: HubRepo & { path: string }): Promise<string> {
  const hub = openRepo(repo);
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
  if (await localFolder(idOrFolder)) return idOrFolder;
  const hub = openRepo({ repo: repoId(idOrFolder), type, ...options });
  const matchers = files.map((pattern) => globMatcher(pattern.replaceAll("*", "**")));
  const wanted = (await hub.list().catch(notHere(idOrFolder))).filter((path) =>
    matchers.some((matches) => matches(path)),
  );
  if (wanted.length === 0) throw hub.noSuchFile(files.join(", "));
  let folder = "";
  for (const path of wanted) {
    const file = await hub.file(path);
    if (file === undefined) throw hub.noSuchFile(path);
    folder = file.slice(0, -path.length - 1);
  }
  return folder;
}

/** A local folder, or a repository of the Hub whose files are downloaded when they are opened. */
export async function openFolder(idOrFolder: string, options: Omit<HubRepo, "repo"> = {}): Promise<Folder> {
  const local = await localFolder(idOrFolder);
  if (local) return local;
  const hub = openRepo({ repo: repoId(idOrFolder), ...options });
  return {
    name: idOrFolder,
    async open(file) {
      const path = await hub.file(file).catch(notHere(idOrFolder));
      return path === undefined ? undefined : openFile(path);
    },
  };
}

/**
 * Deletes from the cache the commits of a repository that no branch or tag means any more, and what only they hold; not
 * while something is being downloaded.
 * @returns the commits that were deleted
 */
export const clearOldCommits = (repo: HubRepo): Promise<string[]> => openRepo(repo).clearOld();

/** The paths of all files of a repository; offline, of those in the cache. */
export const listHubFiles = (repo: HubRepo): Promise<string[]> => openRepo(repo).list();

/** A repository whose files are kept in the cache on disk. */
function openRepo({ repo, type = "model", revision = "main", retryMs = 500, ...options }: HubRepo) {
  const { cacheDir, ...settings } = hubSettings(options);
  const userAgent = `gpugrad; node/${process.versions.node}`;
  repoId(repo);
  return hubRepo({ repo, type, revision, retryMs, userAgent, ...settings }, folderStore(cacheDir, type, repo));
}
