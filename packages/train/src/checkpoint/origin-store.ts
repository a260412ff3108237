import { originFile, originFolder, removeOrigin } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { readJson, writeJson } from "#files";
import type { Checkpoint } from "./checkpoints.ts";
import type { RunStore } from "./run-store.ts";

/** Lists the files of a checkpoint with their sizes. Written last: without it, a checkpoint was never finished. */
const SEAL = "checksums.json";

/**
 * A run's checkpoints in a browser's file system for the site (OPFS), where folders can't be renamed: a checkpoint is whole once it has its
 * seal. No other tab or worker has the run until it is released.
 */
export class OriginStore implements RunStore {
  readonly path: string;
  readonly #unlock: () => void;

  private constructor(path: string, unlock: () => void) {
    this.path = path;
    this.#unlock = unlock;
  }

  /** @throws when another tab has the run, or the browser keeps no files for this page */
  static async open(path: string): Promise<OriginStore> {
    const unlock = await lock(`gpugrad ${path}`);
    if (!unlock) throw new GpugradError(`${path}: another tab is training this run. Close it, or choose another name.`);
    try {
      await originFolder(path, { create: true });
      return new OriginStore(path, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  /** The newest checkpoint that is whole; undefined if there is none. */
  static async latest(
    path: string,
    onSkipped: (path: string, problem: string) => unknown = () => undefined,
  ): Promise<Checkpoint | undefined> {
    for (const checkpoint of (await checkpointsIn(path)).reverse()) {
      const problem = await problemOf(checkpoint.path);
      if (problem === undefined) return checkpoint;
      await onSkipped(checkpoint.path, problem);
    }
    return undefined;
  }

  checkpoint(step: number): string {
    return `${this.path}/checkpoint-${step}`;
  }

  async find(
    wanted: string | true,
    onSkipped: (path: string, problem: string) => unknown,
  ): Promise<string | undefined> {
    if (wanted === true || wanted === "auto") {
      const latest = await OriginStore.latest(this.path, onSkipped);
      if (latest || wanted === "auto") return latest?.path;
      throw new GpugradError(`${this.path}: no whole checkpoint to resume from. Start the run again.`);
    }
    const problem = await problemOf(wanted);
    if (problem !== undefined) throw new GpugradError(`${wanted}: can't be resumed from: ${problem}.`);
    return wanted;
  }

  async findBest(named: string): Promise<string | undefined> {
    const name = /checkpoint-\d+$/.exec(named)?.[0];
    const path = `${this.path}/${name}`;
    return name !== undefined && (await originFolder(path)) ? path : undefined;
  }

  async begin({ overwrite }: { overwrite: boolean }): Promise<void> {
    const left = await checkpointsIn(this.path);
    if (left.length > 0 && !overwrite) {
      throw new GpugradError(
        `${this.path}: an earlier run has left checkpoints here. Continue it (resumeFromCheckpoint: true), delete what it left ` +
          "(overwriteOutputDir: true), or choose another name.",
      );
    }
    for (const { path } of left) await removeOrigin(path);
  }

  async save(step: number, fill: (aside: string) => Promise<void>): Promise<string> {
    const path = this.checkpoint(step);
    await removeOrigin(path);
    try {
      await fill(path);
      await writeJson(path, SEAL, { files: await sizesIn(path) });
    } catch (error) {
      await removeOrigin(path).catch(() => undefined);
      throw error;
    }
    return path;
  }

  saveElsewhere(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async rotate({ limit = Infinity, keep }: { limit: number | undefined; keep: readonly string[] }): Promise<void> {
    const others: string[] = [];
    for (const { path } of await checkpointsIn(this.path)) {
      if (keep.includes(path)) limit--;
      else if (await originFile(`${path}/${SEAL}`)) others.push(path);
      else await removeOrigin(path);
    }
    for (const path of others.slice(0, Math.max(0, others.length - Math.max(0, limit)))) await removeOrigin(path);
  }

  release(): Promise<void> {
    this.#unlock();
    return Promise.resolve();
  }
}

/** Checkpoints of a run, oldest first, whole or not. */
async function checkpointsIn(path: string): Promise<Checkpoint[]> {
  const found: Checkpoint[] = [];
  for await (const name of (await originFolder(path))?.keys() ?? []) {
    const step = /^checkpoint-(\d+)$/.exec(name)?.[1];
    if (step !== undefined) found.push({ path: `${path}/${name}`, step: Number(step) });
  }
  return found.sort((a, b) => a.step - b.step);
}

/** Why a run can't be resumed from a checkpoint, in words; undefined if all of it is there. */
async function problemOf(path: string): Promise<string | undefined> {
  const seal = await readJson(path, SEAL);
  if (!seal) return `${SEAL} is missing: it was never finished`;
  const found = await sizesIn(path);
  for (const [name, size] of Object.entries(seal["files"] as Record<string, number>))
    if (found[name] !== size) return `${name} has ${found[name] ?? "no"} bytes instead of ${size}`;
  return undefined;
}

/** Bytes of the files of a checkpoint, but its seal. */
async function sizesIn(path: string): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for await (const [name, handle] of (await originFolder(path))?.entries() ?? [])
    if (handle.kind === "file" && name !== SEAL) sizes[name] = (await handle.getFile()).size;
  return sizes;
}

/** Takes a lock that all tabs of the site see. @returns how to give it back; undefined where it is taken */
function lock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (taken) => {
        if (!taken) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}
