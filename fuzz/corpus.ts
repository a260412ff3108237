// The inputs that once failed, minimized: fuzz/corpus/<target>/<kind>-<hash>. A test runs all of them; mutations start from them, too.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("corpus/", import.meta.url));

export function corpusOf(target: string): { file: string; input: Uint8Array }[] {
  const folder = join(root, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((file) => ({ file, input: Uint8Array.from(readFileSync(join(folder, file))) }));
}

/** @returns the path of the file */
export function addToCorpus(target: string, kind: string, input: Uint8Array): string {
  const path = join(root, target, `${kind}-${createHash("sha256").update(input).digest("hex").slice(0, 10)}`);
  mkdirSync(join(root, target), { recursive: true });
  writeFileSync(path, input);
  return path;
}
