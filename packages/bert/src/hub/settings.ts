import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { HubOptions } from "../opener.ts";
import { endpointOf } from "./names.ts";
import { progressOnStderr } from "./progress.ts";

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
