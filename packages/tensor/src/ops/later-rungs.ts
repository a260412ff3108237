import { GpugradError } from "../errors.ts";
import type { AdapterInfo } from "../runtime/adapter.ts";
import { later } from "../runtime/later.ts";
import type { Rung, Unnamed } from "./ladder.ts";

/** Which adapters need the kernels for CPUs, and those for matrix units. */
export const isCpu = ({ cpu }: AdapterInfo): boolean => cpu;
export const hasMatrixUnits = ({ subgroupMatrix }: AdapterInfo): boolean => subgroupMatrix !== undefined;

/** Rungs that only some adapters can use, for pages: until `load` has brought them they suit nothing. */
/* @__NO_SIDE_EFFECTS__ */
export function laterRungs<R extends Rung, Name extends string>(
  names: readonly Name[],
  neededBy: (adapter: AdapterInfo) => boolean,
  load: () => Promise<Record<Name, Unnamed<R>>>,
): Record<Name, Unnamed<R>> {
  const entries = names.map((name) => {
    const compute = () => {
      throw new GpugradError(`${name}: this kernel is not loaded. init({ everyRung: true }) loads all.`);
    };
    return [name, { kernel: name, idea: "not loaded", suits: () => false, compute }];
  });
  const rungs = Object.fromEntries(entries) as Record<Name, Unnamed<R>>;
  later(neededBy, async () => {
    const loaded = await load();
    for (const name of names) Object.assign(rungs[name], loaded[name]);
  });
  return rungs;
}
