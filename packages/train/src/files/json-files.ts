import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseJsonObject } from "@gpugrad/bert";

/** Whether there is such a file or folder. */
export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Writes a file, with the folders that it is in. */
export async function writeJson(folder: string, file: string, value: unknown): Promise<void> {
  const path = join(folder, file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** A file's JSON object; undefined if the file isn't there. @throws when it is something else, or nested deeply */
export async function readJson(folder: string, file: string): Promise<Record<string, unknown> | undefined> {
  const path = join(folder, file);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return text === undefined ? undefined : parseJsonObject(text, path);
}
