import { openFile, writeFileAside, type ByteSource } from "@gpugrad/bert";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { BatchTokenizer } from "./batch.ts";

/** Tokens that stay on disk, in bytes; what was not used for longest goes first. */
const LIMIT = 8 * 2 ** 30;

const DAY = 24 * 60 * 60 * 1000;

/** What is used of Node's `Hash`, whose type users' declarations need not have. */
interface RunningHash {
  update(data: string | Uint8Array): RunningHash;
  digest(encoding: "hex"): string;
}

/** A tokenizer in files, which a worker can load, and the beginning of a key that covers them. */
export interface SavedTokenizer {
  folder: string;
  hash: RunningHash;
  remove(): Promise<void>;
}

/** Undefined for a tokenizer that can't be saved. */
export async function saveTokenizer(tokenizer: BatchTokenizer): Promise<SavedTokenizer | undefined> {
  if (!tokenizer.savePretrained) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "gpugrad-tokenizer-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await tokenizer.savePretrained(folder);
    const hash = createHash("sha256");
    for (const file of (await readdir(folder)).sort()) {
      const content = await readFile(join(folder, file));
      hash.update(`${file} ${content.length} `).update(content);
    }
    return { folder, hash, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Files of tokens by key, each followed by its SHA-256. */
export interface TokenCache {
  /** What was kept under a key; undefined when nothing was, or it is damaged. */
  find(key: string): Promise<ByteSource | undefined>;
  /** Keeps `pieces` under a key: the whole of them, or nothing and the reason why. */
  write(key: string, pieces: AsyncIterable<Uint8Array>): Promise<ByteSource | string>;
}

export function tokenCache(dir?: string, limit = LIMIT): TokenCache {
  const { GPUGRAD_TOKEN_CACHE, GPUGRAD_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = GPUGRAD_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "gpugrad");
  const folder = dir ?? (GPUGRAD_TOKEN_CACHE || join(cache, "tokens"));
  const pathOf = (key: string) => join(folder, `${key}.tokens`);
  return {
    async find(key) {
      const path = pathOf(key);
      const file = await openFile(path).catch(() => undefined);
      if (!file) return undefined;
      if (await isWhole(file).catch(() => false)) {
        await utimes(path, new Date(), new Date()).catch(() => {}); // a folder that can't be written still serves
        return content(file);
      }
      await file.close();
      return undefined;
    },
    async write(key, pieces) {
      let failed: unknown; // an error of the pieces, which is none of the disk
      try {
        await writeFileAside(
          pathOf(key),
          withHash(pieces, (error) => (failed = error)),
        );
        await prune(folder, pathOf(key), limit);
        return content(await openFile(pathOf(key)));
      } catch (error) {
        if (error === failed) throw error;
        return `${folder} can't be written (${(error as Error).message}). Set GPUGRAD_TOKEN_CACHE to another folder (cacheDir).`;
      }
    },
  };
}

/** Without the hash at the end. */
const content = (file: ByteSource): ByteSource => ({ ...file, size: file.size - 32 });

async function* withHash(pieces: AsyncIterable<Uint8Array>, onError: (error: unknown) => void) {
  const hash = createHash("sha256");
  try {
    for await (const piece of pieces) {
      hash.update(piece);
      yield piece;
    }
  } catch (error) {
    onError(error);
    throw error;
  }
  yield hash.digest();
}

async function isWhole(file: ByteSource): Promise<boolean> {
  const end = file.size - 32;
  if (end < 16) return false;
  const hash = createHash("sha256");
  for (let at = 0; at < end; at += 1 << 20) hash.update(await file.read(at, Math.min(1 << 20, end - at)));
  return hash.digest().equals(await file.read(end, 32));
}

/**
 * Removes the files that were not used for longest until the rest is within the limit; `kept` stays. What a run that was
 * killed left half-written goes after a day.
 */
async function prune(folder: string, kept: string, limit: number): Promise<void> {
  const files: { path: string; size: number; mtimeMs: number }[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined); // another run may have removed it
    if (!info) continue;
    if (name.endsWith(".tokens")) files.push({ path, size: info.size, mtimeMs: info.mtimeMs });
    else if (name.endsWith(".tmp") && Date.now() - info.mtimeMs > DAY) await rm(path, { force: true });
  }
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
    if (total <= limit) break;
    if (path === kept) continue;
    await rm(path, { force: true }).catch(() => {}); // in use, on Windows
    total -= size;
  }
}
