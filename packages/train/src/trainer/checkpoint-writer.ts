import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { writeResumeState, type ResumeState } from "../checkpoint/run-files.ts";
import type { RunStore } from "../checkpoint/run-store.ts";
import { exists, writeJson } from "#files";
import { callbackStates } from "./callback-states.ts";
import type { Events } from "./events.ts";
import { saveModelFiles, type ModelParts } from "./model-files.ts";
import { stateToJson, type TrainerControl, type TrainerState } from "./trainer-state.ts";

/** What checkpoints are made of. */
export interface CheckpointParts extends ModelParts {
  args: TrainingArguments;
  events: Events;
  signal: AbortSignal;
  output: RunStore | undefined;
}

/** Writes the checkpoints of a run. */
export class CheckpointWriter {
  /** The newest checkpoint of this run, or the one that it began with. */
  last: string | undefined;
  readonly #parts: CheckpointParts;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
  }

  /**
   * Saves a checkpoint. A full disk does not end the run: the next save may find room.
   * @returns whether it is saved where it belongs
   */
  async save(state: TrainerState, control: TrainerControl, resume: () => Promise<ResumeState>): Promise<boolean> {
    const { args, output, events, signal } = this.#parts;
    if (!output) return false;
    const path = output.checkpoint(state.globalStep);
    const { bestGlobalStep } = state;
    const bestBefore = state.bestModelCheckpoint;
    if (bestGlobalStep !== null) {
      const best = output.checkpoint(bestGlobalStep);
      if (best === path || (await exists(best))) state.bestModelCheckpoint = best;
    }
    Object.assign(state.statefulCallbacks, callbackStates(events.objects));
    const fill = async (aside: string): Promise<void> => {
      await saveModelFiles(aside, this.#parts);
      if (!args.saveOnlyModel) await writeResumeState(aside, await resume());
      await writeJson(aside, "trainer_state.json", stateToJson(state, control));
    };
    try {
      await output.save(state.globalStep, fill);
    } catch (error) {
      if (!isDiskProblem(error)) throw error;
      state.bestModelCheckpoint = bestBefore;
      const problem = `${path} couldn't be saved: ${(error as Error).message}.`;
      const copy = signal.aborted ? await output.saveElsewhere(state.globalStep, fill) : undefined;
      await events.warn(
        copy === undefined
          ? `${problem} The run continues, and will try again at the next checkpoint.`
          : `${problem} It is in ${copy} instead: resume from there (resumeFromCheckpoint), or move it.`,
      );
      return false;
    }
    this.last = path;
    const kept = [path, ...(state.bestModelCheckpoint === null ? [] : [state.bestModelCheckpoint])];
    await output.rotate({ limit: args.saveTotalLimit ?? undefined, keep: kept }).catch((error: unknown) => {
      if (!isDiskProblem(error)) throw error;
      return events.warn(`An older checkpoint couldn't be deleted: ${(error as Error).message}. The run continues.`);
    });
    return true;
  }
}

/** A disk that is full, read-only or gone. */
const isDiskProblem = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "ENOENT"].includes(
    String((error as NodeJS.ErrnoException).code),
  );
