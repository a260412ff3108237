import { GpugradError } from "../errors.ts";
import type { AdapterInfo } from "./adapter.ts";

/** What only some adapters need, and how to load it. */
interface Part {
  neededBy: (adapter: AdapterInfo) => boolean;
  load: () => Promise<void>;
  loading?: Promise<void> | undefined;
}
const parts: Part[] = [];
let known: AdapterInfo | undefined;

/** Code for adapters that few pages meet: `init()` loads it once it knows the adapter. If a device is there already, loading begins now. */
export function later(neededBy: Part["neededBy"], load: Part["load"]): void {
  const part: Part = { neededBy, load };
  parts.push(part);
  if (known && neededBy(known)) loadOnce(part).catch(() => undefined); // ops do without
}

/** Loads a part, unless it is there; one that could not be loaded is tried again. */
const loadOnce = (part: Part): Promise<void> =>
  (part.loading ??= part.load().catch((error: unknown) => {
    part.loading = undefined;
    throw error;
  }));

/** Loads what this adapter needs, or everything. @throws where it can't be loaded */
export async function loadParts(adapter: AdapterInfo, all = false): Promise<void> {
  known = adapter;
  try {
    await Promise.all(parts.filter(({ neededBy }) => all || neededBy(adapter)).map(loadOnce));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new GpugradError(`init: kernels for ${adapter.description} can't be loaded: ${why}. Call it again.`, {
      cause,
    });
  }
}
