import { type AdapterInfo } from "./adapter.ts";

/** Counted up when kernels change so much that old measurements mislead. */
export const TUNING_VERSION = 1;

/** Which kernels were fastest on one adapter, as `pnpm tune` measured them. */
export interface Tuning {
  version: number;
  /** {@link adapterKey} of the adapter. */
  adapter: string;
  /** What is computed, and the kernel to take: `matmul 768×768×4096 f32` → `tiledLarge/8`. */
  choices: Record<string, string>;
}

/** All that distinguishes one adapter from another; Dawn's description includes the version of the driver. */
export const adapterKey = ({ vendor, architecture, description }: AdapterInfo): string =>
  [vendor, architecture, description].join(" / ");

/** The choices of `tuning`; none if it is of another version or adapter, or no tuning at all. */
export function choicesFor(adapter: AdapterInfo, tuning: unknown): ReadonlyMap<string, string> {
  const { version, adapter: key, choices } = (tuning ?? {}) as Partial<Tuning>;
  const fits = version === TUNING_VERSION && key === adapterKey(adapter);
  return new Map(fits ? Object.entries(choices ?? {}) : []);
}
