import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { safeName } from "./safe-name.ts";

/**
 * Saves what has no room in `folder` in a new folder somewhere else: below the system's temporary folder, the working directory or the home.
 * @returns where; undefined if nothing can be saved there either
 */
export async function saveElsewhere(
  folder: string,
  save: (elsewhere: string) => Promise<unknown>,
): Promise<string | undefined> {
  for (const base of [tmpdir(), process.cwd(), homedir()]) {
    let place: string | undefined;
    try {
      place = await mkdtemp(join(base, `gpugrad-${safeName(basename(resolve(folder)))}-`));
      await save(place);
      return place;
    } catch (error) {
      if (place !== undefined) await rm(place, { recursive: true, force: true }).catch(() => undefined);
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error; // not the disk's
    }
  }
  return undefined;
}
