import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder } from "./swiftshader.ts";
import type { Tuning } from "./tuning.ts";

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12);

/** Where something about an adapter lies: in gpugrad's cache folder. */
const fileOf = (what: string, adapterKey: string): string => join(cacheFolder(), `${what}-${hashOf(adapterKey)}.json`);

/** Where the tuning of an adapter lies. */
export const tuningFile = (adapterKey: string): string => fileOf("tuning", adapterKey);

/** Where the kernels lie that are left out on an adapter. */
export const leftOutFile = (adapterKey: string): string => fileOf("left-out", adapterKey);

/** Where it lies which trial an adapter has passed, by the trial's name. */
export const trialFile = (adapterKey: string, trial: string): string => fileOf(`trial-${trial}`, adapterKey);

/** What `pnpm tune` wrote for this adapter; undefined if there is nothing that can be read, or `GPUGRAD_TUNING=off`. */
export async function readTuning(adapterKey: string): Promise<unknown> {
  if (process.env["GPUGRAD_TUNING"] === "off") return undefined;
  return readJson(tuningFile(adapterKey)); // where it isn't tuned, the built-in choice is good as well
}

/** What `gpugrad doctor --deep --fix` found to be wrong on this adapter; undefined if there is nothing that can be read. */
export const readLeftOut = (adapterKey: string): Promise<unknown> => readJson(leftOutFile(adapterKey));

/** What came of this trial, if this adapter has passed it, by the Dawn of today. `GPUGRAD_TRIALS=off`: as if it never had. */
export async function readPassed(adapterKey: string, { name, code }: TrialName): Promise<Passed | undefined> {
  if (process.env["GPUGRAD_TRIALS"] === "off") return undefined;
  const now = passed(adapterKey, code);
  const kept = now && ((await readJson(trialFile(adapterKey, name))) as Partial<Passed> | undefined);
  const same = kept && Object.entries(now).every(([key, value]) => kept[key as keyof Passed] === value);
  return same ? { ...now, found: kept.found } : undefined;
}

/** Keeps that it has, and what was found, so that the next start need not try it again. */
export async function keepPassed(adapterKey: string, { name, code }: TrialName, found?: number): Promise<void> {
  const now = passed(adapterKey, code);
  if (process.env["GPUGRAD_TRIALS"] === "off" || !now) return;
  await writeJson(trialFile(adapterKey, name), { ...now, found }).catch(() => undefined); // it is tried again, then
}

/** A trial by its name, and what is tried. */
interface TrialName {
  readonly name: string;
  readonly code: string;
}

interface Passed {
  /** With its driver's version. */
  adapter: string;
  dawn: string;
  /** A hash of what was tried. */
  code: string;
  /** What it counted, if it counts something. */
  found?: number | undefined;
}

/** Undefined where Dawn isn't npm's package, so that its version isn't known: in Deno, or in a program in one file. */
function passed(adapter: string, code: string): Passed | undefined {
  try {
    const { version: dawn } = createRequire(import.meta.url)("webgpu/package.json") as { version: string };
    return { adapter, dawn, code: hashOf(code) };
  } catch {
    return undefined;
  }
}

/** What a file holds; undefined where there is none, and with a warning where it is damaged. */
async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === "object" && content !== null) return content;
  } catch {
    // not JSON
  }
  if (!damaged.has(file)) process.stderr.write(`gpugrad: ${file} is damaged, so it is ignored. It can be deleted.\n`);
  damaged.add(file);
  return undefined;
}

/** Files that there was a warning about. */
const damaged = new Set<string>();

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
