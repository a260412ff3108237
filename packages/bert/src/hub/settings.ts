import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { endpointOf } from "./names.ts";
import { progressOnStderr, type OnProgress } from "./progress.ts";

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

/** A repository of the Hub. */
export interface HubRepo extends HubOptions {
  /** `namespace/name`; old names without a namespace (`bert-base-uncased`, `imdb`) redirect. */
  repo: string;
  /** Default `model`. */
  type?: "model" | "dataset";
}

export const isTrue = (value: string | undefined) => /^(1|on|yes|true)$/i.test(value ?? "");

/** Settings as `huggingface_hub` reads them from the environment. */
export function hubSettings(options: HubOptions) {
  const env = process.env;
  const home = env["HF_HOME"] || join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "huggingface");
  return {
    endpoint: endpointOf(options.endpoint ?? (env["HF_ENDPOINT"] || "https://huggingface.co")),
    cacheDir: options.cacheDir ?? (env["HF_HUB_CACHE"] || env["HUGGINGFACE_HUB_CACHE"] || join(home, "hub")),
    offline: options.offline ?? isTrue(env["HF_HUB_OFFLINE"]),
    token: async () =>
      options.token === false
        ? undefined
        : options.token ||
          env["HF_TOKEN"]?.trim() ||
          (await readFile(env["HF_TOKEN_PATH"] || join(home, "token"), "utf8").catch(() => "")).trim() ||
          undefined,
    onProgress: options.onProgress ?? (isTrue(env["HF_HUB_DISABLE_PROGRESS_BARS"]) ? () => {} : progressOnStderr()),
  };
}
