/** Where a run keeps its checkpoints: this process' own until it is released. */
export interface RunStore {
  readonly path: string;
  /** The name of a step's checkpoint. */
  checkpoint(step: number): string;
  /**
   * The checkpoint to resume from: the one of that name, with `true` the newest whole one here, with `auto` the same, or undefined if there is none.
   * @throws when there is none, or it isn't whole
   */
  find(wanted: string | true, onSkipped: (path: string, problem: string) => unknown): Promise<string | undefined>;
  /** The best checkpoint so far, which the state of the checkpoint `from` names. */
  findBest(named: string, from: string): Promise<string | undefined>;
  /** Makes room for a run that begins. @throws when an earlier one has left checkpoints, unless they may go */
  begin(options: { overwrite: boolean }): Promise<void>;
  /** Writes a step's checkpoint: all of it, or nothing. */
  save(step: number, fill: (aside: string) => Promise<void>): Promise<string>;
  /** Writes a step's checkpoint where there is room for it, when there is none here. @returns where; undefined if there is no such place */
  saveElsewhere(step: number, fill: (aside: string) => Promise<void>): Promise<string | undefined>;
  /** Deletes the oldest checkpoints beyond `limit`, and what unfinished saves left behind. */
  rotate(options: { limit: number | undefined; keep: readonly string[] }): Promise<void>;
  /** Lets others have it. */
  release(): Promise<void>;
}
