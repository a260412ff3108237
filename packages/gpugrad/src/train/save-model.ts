import { setTimeout as sleep } from "node:timers/promises";
import { SaveError, type Trainer } from "@gpugrad/train";
import type { Task } from "./task.ts";

/** A run as far as saving its model goes. */
interface Saving {
  trainer: Trainer<Task["model"]>;
  warn: (text: string) => void;
  /** Waits, unless the run is asked to stop. */
  unlessAsked: <T>(work: () => Promise<T>) => Promise<T>;
}

/** How long a run waits for room for its model, in milliseconds, and how often. */
const ROOM = { pauseMs: 10_000, pauses: 360 };

/**
 * Saves the model where it belongs. Where no disk has room, it waits for some: what was trained is in memory alone.
 * @returns the error, where the model is elsewhere
 */
export async function saveModel({ trainer, warn, unlessAsked }: Saving): Promise<SaveError | undefined> {
  for (let pauses = 0; ; pauses++) {
    try {
      await trainer.saveModel();
      return undefined;
    } catch (error) {
      if (!(error instanceof SaveError)) throw error;
      if (error.savedIn !== undefined) {
        warn(error.message);
        return error;
      }
      if (pauses === ROOM.pauses) throw error;
      if (pauses === 0) warn(`${error.message}\nWaiting for room, for an hour at most. Ctrl-C gives the model up.`);
      await unlessAsked(() => sleep(ROOM.pauseMs));
    }
  }
}
