import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder } from "./swiftshader.ts";
import type { Tuning } from "./tuning.ts";

/** Where something about an adapter lies: in gpugrad's cache folder. */
function fileOf(what: string, adapterKey: string): string {
  const hash = createHash("sha256").update(adapterKey).digest("hex").slice(0, 12);
  return join(cacheFolder(), `${what}-${hash}.json`);
}

/** Where the tuning of an adapter lies. */
export const tuningFile = (adapterKey: string): string => fileOf("tuning", adapterKey);

/** Where the kernels lie that are left out on an adapter. */
export const leftOutFile = (adapterKey: string): string => fileOf("left-out", adapterKey);

/** What `pnpm tune` wrote for this adapter; undefined if there is nothing that can be read, or `GPUGRAD_TUNING=off`. */
export async function readTuning(adapterKey: string): Promise<unknown> {
  if (process.env["GPUGRAD_TUNING"] === "off") return undefined;
  return readJson(tuningFile(adapterKey)); // where it isn't tuned, the built-in choice is good as well
}

/** What `gpugrad doctor --deep --fix` found to be wrong on this adapter; undefined if there is nothing that can be read. */
export const readLeftOut = (adapterKey: string): Promise<unknown> => readJson(leftOutFile(adapterKey));

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** Keeps a tuning, and returns where. */
export const writeTuning = (tuning: Tuning): Promise<string> => writeJson(tuningFile(tuning.adapter), tuning);

/** Leaves kernels out on this adapter from now on, or none any more; returns where that is kept. */
export const writeLeftOut = (adapterKey: string, leftOut: readonly string[]): Promise<string> =>
  writeJson(leftOutFile(adapterKey), { adapter: adapterKey, leftOut });

async function writeJson(file: string, content: object): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, JSON.stringify(content, null, 2) + "\n"); // a file by the final name is always whole
  await rename(`${file}.${process.pid}`, file);
  return file;
}
