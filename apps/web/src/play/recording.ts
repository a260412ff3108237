import type { PlayEvent } from "./events.ts";

/** A run of the default settings, as `apps/web/scripts/record-run.ts` has recorded it. */
export async function recording(): Promise<PlayEvent[]> {
  const response = await fetch(new URL("./recorded.jsonl", import.meta.url));
  const lines = (await response.text()).trim().split("\n");
  return lines.map((line) => JSON.parse(line) as PlayEvent);
}
