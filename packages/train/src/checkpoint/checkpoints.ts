import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { problemOf, removeFolder } from "./sealed-folder.ts";

/** A checkpoint in an output folder. */
export interface Checkpoint {
  path: string;
  /** Updates that had been made. */
  step: number;
}

/** The folder of a step's checkpoint: Hugging Face's name. */
export const checkpointPath = (outputDir: string, step: number): string => join(outputDir, `checkpoint-${step}`);

/** The checkpoints of a run, oldest first, whole or not. An output folder that isn't there has none. */
export async function checkpointsIn(outputDir: string): Promise<Checkpoint[]> {
  const names = await readdir(outputDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .flatMap((name) => {
      const step = /^checkpoint-(\d+)$/.exec(name)?.[1];
      return step === undefined ? [] : [{ path: join(outputDir, name), step: Number(step) }];
    })
    .sort((a, b) => a.step - b.step);
}

/** What a checkpoint has besides its seal: one file of each row. */
const NEEDED = [
  ["trainer_state.json"],
  ["model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"],
];

/** Why a run can't be resumed from a folder, in words; undefined if it is a whole checkpoint. */
export async function problemOfCheckpoint(path: string): Promise<string | undefined> {
  const problem = await problemOf(path);
  if (problem !== undefined) return problem;
  for (const names of NEEDED) {
    const found = await Promise.all(names.map((name) => lstat(join(path, name)).catch(() => undefined)));
    if (!found.some((file) => file?.isFile())) return `it has no ${names[0]}: it isn't a checkpoint`;
  }
  return undefined;
}

/**
 * The newest checkpoint that is whole; undefined if there is none. Transformers has the same as `get_last_checkpoint`, which looks at names alone.
 * @param onSkipped is called with newer ones that aren't, and why
 */
export async function latestCheckpoint(
  outputDir: string,
  onSkipped: (checkpoint: Checkpoint, problem: string) => unknown = () => undefined,
): Promise<Checkpoint | undefined> {
  for (const checkpoint of (await checkpointsIn(outputDir)).reverse()) {
    const problem = await problemOfCheckpoint(checkpoint.path);
    if (!problem) return checkpoint;
    await onSkipped(checkpoint, problem);
  }
  return undefined;
}

/** Deletes the oldest checkpoints beyond `limit`, but none of `keep`, and what unfinished saves left behind. */
export async function rotateCheckpoints(
  outputDir: string,
  { limit, keep = [] }: { limit?: number | undefined; keep?: readonly string[] },
): Promise<void> {
  for (const name of await readdir(outputDir))
    if (/^checkpoint-\d+\.[0-9a-f]{8}\.tmp$/.test(name))
      await rm(join(outputDir, name), { recursive: true, force: true });
  if (limit === undefined) return;
  const all = await checkpointsIn(outputDir);
  const kept = all.filter(({ path }) => keep.includes(path));
  const others = all.filter(({ path }) => !keep.includes(path));
  const room = Math.max(0, limit - kept.length);
  for (const { path } of others.slice(0, Math.max(0, others.length - room))) await removeFolder(path);
}
