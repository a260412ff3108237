import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAside } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";

const sealOf = (content: unknown): string => createHash("sha256").update(JSON.stringify(content)).digest("hex");

/** Writes what several runs have come to as JSON with a checksum: whole, or not at all. */
export async function writeState(file: string, content: object): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFileAside(file, `${JSON.stringify({ sha256: sealOf(content), content }, null, 2)}\n`);
}

/** What {@link writeState} wrote; undefined where there is no file. @throws where it was changed since */
export async function readState<T extends object>(file: string): Promise<T | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const refuse = (): never => {
    throw new GpugradError(
      `${file}: its checksum differs: it is damaged, or was changed. Delete it and begin again (--overwrite_output_dir).`,
    );
  };
  try {
    const { sha256, content } = JSON.parse(text) as { sha256: string; content: T };
    return sha256 === sealOf(content) ? content : refuse();
  } catch {
    return refuse();
  }
}

/**
 * Opens the state of several runs that belong together, or begins one.
 * @param asked what decides what the runs are
 * @throws where an earlier one is there, and is neither to be continued nor written over, or was of something else
 */
export async function openState<T extends { asked: Record<string, unknown> }>(
  file: string,
  fresh: T,
  { resume, overwrite }: { resume: boolean; overwrite: boolean },
): Promise<T> {
  const kept = overwrite ? undefined : await readState<T>(file);
  if (!kept) return fresh;
  if (!resume) {
    throw new GpugradError(
      `${file}: an earlier command has left its runs here. Continue it (--resume_from_checkpoint true), begin again ` +
        "(--overwrite_output_dir), or choose another output folder.",
    );
  }
  const names = [...new Set([...Object.keys(kept.asked), ...Object.keys(fresh.asked)])];
  const shown = (value: unknown): string => JSON.stringify(value) ?? "nothing";
  const other = names.find((name) => shown(kept.asked[name]) !== shown(fresh.asked[name]));
  if (other !== undefined) {
    throw new GpugradError(
      `${file}: ${other} was ${shown(kept.asked[other])} there and is ${shown(fresh.asked[other])} now: not the same runs. ` +
        "Give the same options, or choose another output folder.",
    );
  }
  return kept;
}
