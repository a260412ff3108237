import type { RunStore } from "../checkpoint/run-store.ts";
import type { HubCallback, HubCallbackOptions } from "../hub/hub-callback.ts";
import type { ModelCardOptions } from "../hub/model-card-callback.ts";
import type { TrackerOptions } from "../trackers/tracker.ts";
import type { TrainerCallback } from "./callbacks.ts";
import type { Communicator } from "../parallel/communicator.ts";
import type { Exchange } from "./recorded-steps.ts";

/** What a Trainer does with the world around it. It is handed in: each platform has its own, and a program may replace any of them. */
export interface TrainerServices {
  /** What writes a run down, by the name that `reportTo` has for it. */
  readonly reporters: Readonly<Record<string, (options: TrackerOptions) => TrainerCallback>>;
  /** Keeps the model's card up to date. */
  modelCard(options: ModelCardOptions): TrainerCallback;
  /** Uploads a run. */
  hub(options: HubCallbackOptions): HubCallback;
  /** Opens the place where a run keeps its checkpoints. @throws when another run has it, or nothing can be written there */
  openRun(outputDir: string): Promise<RunStore>;
  /** Saves what has no room in a folder somewhere else. @returns where; undefined if nothing can be saved there either */
  saveElsewhere(folder: string, save: (elsewhere: string) => Promise<unknown>): Promise<string | undefined>;
  /** Keeps the metrics of a split. */
  saveMetrics(
    folder: string,
    split: string,
    metrics: Readonly<Record<string, number>>,
    options: { combined?: boolean },
  ): Promise<void>;
  /** The processes that train together, each with a Trainer of the same model, data and arguments. Default: this one is alone. */
  readonly communicator?: Communicator;
  /** Changes the gradients of an update before the optimizer takes them. Default: with a communicator, they are summed over its ranks. */
  readonly exchange?: Exchange;
}
