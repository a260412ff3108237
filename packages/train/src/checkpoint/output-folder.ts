import { access, constants, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { GpugradError } from "@gpugrad/tensor";
import {
  checkpointPath,
  checkpointsIn,
  latestCheckpoint,
  problemOfCheckpoint,
  rotateCheckpoints,
} from "./checkpoints.ts";
import { saveElsewhere } from "./elsewhere.ts";
import { exists } from "../files/json-files.ts";
import { lockFolder } from "./lock.ts";
import type { RunStore } from "./run-store.ts";
import { removeFolder, writeSealedFolder } from "./sealed-folder.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";

/** A run's output folder, this process' own until it is released. */
export class OutputFolder implements RunStore {
  readonly path: string;
  readonly #unlock: () => Promise<void>;

  private constructor(path: string, unlock: () => Promise<void>) {
    this.path = path;
    this.#unlock = unlock;
  }

  /**
   * Takes the folder, which is made if it isn't there.
   * @throws when another run has it, or nothing can be written there
   */
  static async open(path: string): Promise<OutputFolder> {
    const unlock = await lockFolder(path).catch((error: NodeJS.ErrnoException) => {
      if (error instanceof GpugradError) throw error;
      throw new GpugradError(`${path}: can't be written to: ${error.message}. Choose another output folder.`);
    });
    return new OutputFolder(path, unlock);
  }

  /** The folder of a step's checkpoint. */
  checkpoint(step: number): string {
    return checkpointPath(this.path, step);
  }

  /**
   * The checkpoint to resume from: a folder, with `true` the newest whole one here, with `auto` the same, or undefined if there is none.
   * @throws when there is none, or it isn't whole
   */
  async find(
    wanted: string | true,
    onSkipped: (path: string, problem: string) => unknown,
  ): Promise<string | undefined> {
    if (wanted === true || wanted === "auto") {
      const latest = await latestCheckpoint(this.path, ({ path }, problem) => onSkipped(path, problem));
      if (latest || wanted === "auto") return latest?.path;
      throw new GpugradError(
        `${this.path}: no whole checkpoint to resume from. Leave out resumeFromCheckpoint, or set it to auto.`,
      );
    }
    if (await exists(join(wanted, "optimizer.pt"))) {
      throw new GpugradError(
        `${wanted}: Transformers' own checkpoint, whose optimizer state is a pickle. It can't be resumed from, but trained from: ` +
          "give the folder as the model.",
      );
    }
    const problem = await problemOfCheckpoint(wanted);
    if (problem) throw new GpugradError(`${wanted}: can't be resumed from: ${problem}.`);
    return wanted;
  }

  /**
   * The best checkpoint so far, which the state of the checkpoint `from` names: here, or beside that one. Only its name counts: the folder may
   * have been moved, or be another machine's.
   */
  async findBest(named: string, from: string): Promise<string | undefined> {
    const name = /checkpoint-\d+$/.exec(named)?.[0];
    if (name === undefined) return undefined;
    for (const path of [join(this.path, name), join(dirname(from), name)]) if (await exists(path)) return path;
    return undefined;
  }

  /** Makes room for a run that begins. @throws when an earlier one has left checkpoints, unless they may go */
  async begin({ overwrite }: { overwrite: boolean }): Promise<void> {
    if (!overwrite) await refuseCheckpoints(this.path);
    for (const { path } of await checkpointsIn(this.path)) await removeFolder(path);
  }

  /** Writes a step's checkpoint: all of it, or nothing. */
  async save(step: number, fill: (aside: string) => Promise<void>): Promise<string> {
    const path = this.checkpoint(step);
    await writeSealedFolder(path, fill);
    return path;
  }

  /** Writes a step's checkpoint where there is room for it, when there is none here. @returns where; undefined if there is no such place */
  async saveElsewhere(step: number, fill: (aside: string) => Promise<void>): Promise<string | undefined> {
    const name = basename(this.checkpoint(step));
    const place = await saveElsewhere(this.path, (folder) => writeSealedFolder(join(folder, name), fill));
    return place && join(place, name);
  }

  /** Deletes the oldest checkpoints beyond `limit`, and what unfinished saves left behind. */
  rotate(options: { limit: number | undefined; keep: readonly string[] }): Promise<void> {
    return rotateCheckpoints(this.path, options);
  }

  /** Lets others have it. */
  release(): Promise<void> {
    return this.#unlock();
  }
}

/**
 * Looks at an output folder without touching it, before a run loads its data.
 * @throws when nothing can be written there, or an earlier run has left checkpoints that the new one wouldn't use
 */
export async function checkOutputFolder(
  path: string,
  { resumeFromCheckpoint, overwriteOutputDir }: Pick<TrainingArguments, "resumeFromCheckpoint" | "overwriteOutputDir">,
): Promise<void> {
  let there = resolve(path);
  while (!(await exists(there))) there = dirname(there);
  const refuse = (why: string): never => {
    throw new GpugradError(`${path}: can't be written to: ${why}. Choose another output folder.`);
  };
  if (!(await stat(there)).isDirectory()) refuse(`${there} is a file`);
  await access(there, constants.W_OK | constants.X_OK).catch((error: Error) => refuse(error.message));
  if (!resumeFromCheckpoint && !overwriteOutputDir) await refuseCheckpoints(path);
}

async function refuseCheckpoints(folder: string): Promise<void> {
  const left = await checkpointsIn(folder);
  if (left.length === 0) return;
  throw new GpugradError(
    `${folder}: an earlier run has left ${left.map(({ step }) => `checkpoint-${step}`).join(", ")} here. Continue it ` +
      "(resumeFromCheckpoint: true), delete what it left (overwriteOutputDir: true), or choose another output folder.",
  );
}
