import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder } from "./swiftshader.ts";
import type { Tuning } from "./tuning.ts";

/** Where the tuning of an adapter lies: in gpugrad's cache folder. */
export function tuningFile(adapterKey: string): string {
  const hash = createHash("sha256").update(adapterKey).digest("hex").slice(0, 12);
  return join(cacheFolder(), `tuning-${hash}.json`);
}

/** What `pnpm tune` wrote for this adapter; undefined if there is nothing that can be read, or `GPUGRAD_TUNING=off`. */
export async function readTuning(adapterKey: string): Promise<unknown> {
  if (process.env["GPUGRAD_TUNING"] === "off") return undefined;
  try {
    return JSON.parse(await readFile(tuningFile(adapterKey), "utf8"));
  } catch {
    return undefined; // not tuned, or a broken file: the built-in choice is good as well
  }
}

/** Keeps a tuning, and returns where. */
export async function writeTuning(tuning: Tuning): Promise<string> {
  const file = tuningFile(tuning.adapter);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, JSON.stringify(tuning, null, 2) + "\n"); // a file by the final name is always whole
  await rename(`${file}.${process.pid}`, file);
  return file;
}
