import type { Batch } from "../data/batch.ts";
import type { Ranks } from "./ranks.ts";

/** What all ranks have for an update. */
export interface SharedUpdate {
  /** What batches count in its loss, by rank. */
  weights: number[][];
  rows: number;
  tokens: number;
  /** Whether a rank was asked to stop: then all do, before this update. */
  stops: boolean;
}

/** Lets the ranks know of one another's batches. */
export async function shareUpdate(
  ranks: Ranks,
  step: number,
  own: { batches: readonly Batch[]; weightOf: (batch: Batch) => number; stops: boolean },
): Promise<SharedUpdate> {
  const counted = own.batches.filter((batch) => !batch.isSpare);
  const all = await ranks.allGather(`update ${step}`, {
    weights: own.batches.map(own.weightOf),
    rows: counted.reduce((sum, { rows }) => sum + rows.length, 0),
    tokens: counted.reduce((sum, { arrays }) => sum + arrays.input_ids.data.length, 0),
    stops: own.stops,
  });
  const sum = (of: "rows" | "tokens"): number => all.reduce((before, theirs) => before + theirs[of], 0);
  const stops = all.some(({ stops }) => stops);
  return { weights: all.map(({ weights }) => weights), rows: sum("rows"), tokens: sum("tokens"), stops };
}
