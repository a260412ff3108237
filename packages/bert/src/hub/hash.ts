import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat } from "node:fs/promises";
import { basename } from "node:path";
import { isHash } from "./names.ts";

/** The hash whose hexadecimal digest is `etag`: SHA-256 of a large file, git's blob id (SHA-1 with a prefix) of a small one. */
export const hashFor = (etag: string, size: number): Hash =>
  etag.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);

export async function hashFile(path: string, hash: Hash): Promise<Hash> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash;
}

const checked = new Map<string, string | undefined>(); // what was wrong with blobs, by path, size and time of writing

/** What is wrong with a blob; undefined when its content has the hash that its name says. */
export async function damageOf(blob: string, size?: number): Promise<string | undefined> {
  const info = await lstat(blob).catch(() => undefined);
  if (!info?.isFile()) return "it is missing";
  const etag = basename(blob);
  if (!isHash(etag)) return undefined; // a copy, where the system has no links
  if (size !== undefined && info.size !== size) return `it has ${info.size} bytes instead of ${size}`;
  const identity = `${blob} ${info.size} ${info.mtimeMs}`;
  if (checked.has(identity)) return checked.get(identity);
  const digest = (await hashFile(blob, hashFor(etag, info.size))).digest("hex");
  const damage = digest === etag ? undefined : `its hash is ${digest} instead of ${etag}`;
  checked.set(identity, damage);
  return damage;
}
