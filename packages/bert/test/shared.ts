import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Golden data beside the repository, or where GPUGRAD_SHARED says; tests that need it skip without it. */
const root = process.env["GPUGRAD_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url));

/** The path of `name` in the golden data; undefined where there is none. */
export function shared(name: string): string | undefined {
  const path = join(root, name);
  if (existsSync(path)) return path;
  console.warn(`skipped: no ${path} (set GPUGRAD_SHARED to the folder of golden data)`);
  return undefined;
}
