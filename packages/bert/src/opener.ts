import { localFolder, type Folder } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";

/** The state of a download or upload: when it starts, as bytes arrive, and when it ends. */
export interface DownloadProgress {
  readonly repo: string;
  /** Path in the repository; empty in a note about the repository as a whole. */
  readonly file: string;
  /** Bytes. A resumed download starts above 0; one that starts over goes back. */
  readonly loaded: number;
  readonly total: number;
  readonly status: "downloading" | "uploading" | "done" | "failed" | "note";
  /** Says what happened, in a note: a broken connection, a damaged file. */
  readonly message?: string;
}

export type OnProgress = (progress: DownloadProgress) => void;

/** Where to download from, and how; every default is the environment's, as in Python's `huggingface_hub`. */
export interface HubOptions {
  /** A branch, a tag or a commit. Default `main`. */
  revision?: string;
  /** Default HF_TOKEN, then the file that `hf auth login` writes ($HF_HOME/token). `false` sends none. */
  token?: string | false;
  /** Default HF_ENDPOINT, then https://huggingface.co. */
  endpoint?: string;
  /** Default HF_HUB_CACHE, then $HF_HOME/hub, then ~/.cache/huggingface/hub. */
  cacheDir?: string;
  /** Make no requests: use the cache alone. Default HF_HUB_OFFLINE. */
  offline?: boolean;
  /** Called with the progress of each download. Default: bars on a terminal's stderr, lines elsewhere, nothing with HF_HUB_DISABLE_PROGRESS_BARS=1. */
  onProgress?: OnProgress;
  /** The pause before the first new try, in milliseconds; it doubles with each. A server's Retry-After comes first. Default 500. */
  retryMs?: number;
}

/**
 * How names are opened. The package's index puts the Hub's `openFolder` here, so models and tokenizers need not import the Hub; without it,
 * local folders can be opened.
 */
export const opener: { open: (idOrFolder: string, options: HubOptions) => Promise<Folder> } = {
  open: async (idOrFolder) => {
    const folder = await localFolder(idOrFolder);
    check(folder, () => `${idOrFolder}: no such folder. To open repositories of the Hub, import @gpugrad/bert.`);
    return folder;
  },
};

/** The files of a local folder or of a repository of the Hub, by its name; a folder that is open already is returned as it is. */
export const openByName = async (idOrFolder: string | Folder, options: HubOptions = {}): Promise<Folder> =>
  typeof idOrFolder === "string" ? opener.open(idOrFolder, options) : idOrFolder;
