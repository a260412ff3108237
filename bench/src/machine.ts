import { readdirSync, readFileSync } from "node:fs";
import { blasFlops } from "./blas.ts";
import type { Machine } from "./limits.ts";

/** Bytes of the CPU's largest cache, as Linux reports it; 64 MiB elsewhere. */
function lastLevelCache(): number {
  const folder = "/sys/devices/system/cpu/cpu0/cache";
  try {
    const caches = readdirSync(folder).filter((name) => name.startsWith("index"));
    const sizes = caches.map((name) => {
      const [, digits, unit] = /^(\d+)([KM]?)/.exec(readFileSync(`${folder}/${name}/size`, "utf8"))!;
      return Number(digits) * { "": 1, K: 2 ** 10, M: 2 ** 20 }[unit as "" | "K" | "M"];
    });
    return Math.max(...sizes);
  } catch {
    return 64 * 2 ** 20;
  }
}

/** The machine that Node runs on. */
export const thisMachine: Machine = { cpuCacheBytes: lastLevelCache, blasFlops };
