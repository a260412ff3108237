import { environment, keepPassed, readLeftOut, readPassed, readTuning } from "#platform";
import { checkOptions } from "../arguments.ts";
import { check, GpugradError } from "../errors.ts";
import { Device } from "./device.ts";
import { loadParts } from "./later.ts";
import { checkedName, parseLeftOut } from "./left-out.ts";
import { adapterKey, choicesFor, type Tuning } from "./tuning.ts";

let current: Device | undefined;
let starting: Promise<Device> | undefined;
/** The memory limit of a device that was lost, until another takes its place. */
let keptLimit: number | undefined;

/** What {@link init} takes. */
export interface InitOptions {
  /**
   * Bytes that tensors may take on the device: what needs more throws an {@link OutOfMemoryError}, and the device can be used on. To
   * leave room for other programs, or to try what a smaller GPU would do. Also the variable `GPUGRAD_MEMORY_LIMIT`. Default: no
   * limit but the device's own, which is known only when it refuses; the device is then to be replaced by another `init()`.
   */
  memoryLimit?: number;
  /**
   * What `pnpm tune` measured; one of another adapter or version is ignored. In Node the file in the cache folder, unless said
   * otherwise here or by the variable `GPUGRAD_TUNING=off`. `false`: kernels are chosen by the built-in rules alone.
   */
  tuning?: Tuning | false;
  /**
   * Kernels that compute wrongly here and are not to be used, as `gpugrad doctor --deep` names them: `["matmul/tiled"]`. In Node also the
   * variable `GPUGRAD_KERNELS` (`-matmul/tiled`), and without it the file that `gpugrad doctor --deep --fix` writes.
   */
  leaveOut?: readonly string[];
  /** In a page: whether kernels are loaded that this adapter would not be given, so that `withRung` can try them (false). */
  everyRung?: boolean;
}

/**
 * Makes the device that all tensors live on. Call it once, before the first tensor; later calls give the same device,
 * with the limit or the tuning that they name.
 * @throws when no adapter is found: the message lists what was tried.
 */
export async function init(options: InitOptions = {}): Promise<Device> {
  checkOptions("init", options, {
    memoryLimit: "number?",
    tuning: "any",
    leaveOut: "iterable?",
    everyRung: "boolean?",
  });
  const { memoryLimit, tuning, leaveOut, everyRung } = options;
  check(
    memoryLimit === undefined || memoryLimit > 0,
    () => `init: memoryLimit is ${memoryLimit}, not a number of bytes above 0.`,
  );
  if (current?.failed) {
    // A lost device is replaced by one with its limit; of its tensors those live on that are restored.
    const limit = current.memoryLimit;
    const ended = destroy();
    keptLimit = limit;
    starting = ended.then(() => start(options));
  }
  starting ??= start(options);
  const mine = starting;
  try {
    const device = await mine;
    if (starting === mine) current = device;
    // It may be another call's that started with other options, or long before.
    if (memoryLimit !== undefined) device.memoryLimit = memoryLimit;
    if (tuning !== undefined) device.tuning = choicesFor(device.adapter, tuning);
    if (leaveOut !== undefined) Object.assign(device.adapter, { leftOut: namesOf(leaveOut) });
    if (everyRung) await loadParts(device.adapter, true);
    return device;
  } catch (error) {
    if (starting === mine) starting = undefined; // the next call tries again
    throw error;
  }
}

/** What can't be relied on, or known, everywhere, and how to try it: the ops that use it say so. */
export interface Trial<Found extends number | void = void> {
  readonly name: string;
  /** What is tried: another text is another trial. */
  readonly code: string;
  /** @throws if it computes wrongly */
  readonly run: () => Promise<Found>;
}
export const trials: { subgroupMatrix?: Trial; resident?: Trial<number> } = {};

/** A device, and what came of the trials on it. */
async function start({
  tuning,
  leaveOut,
  memoryLimit = keptLimit ?? limitFromEnvironment(),
}: InitOptions): Promise<Device> {
  const device = await Device.create(memoryLimit);
  keptLimit = undefined;
  await loadParts(device.adapter).catch(async (error: unknown) => {
    await device.destroy();
    throw error;
  });
  Object.assign(device.adapter, { leftOut: leaveOut ? namesOf(leaveOut) : await leftOutOn(device) });
  device.tuning = choicesFor(device.adapter, tuning ?? (await readTuning(adapterKey(device.adapter))));
  const { subgroupMatrix, cpu } = device.adapter;
  if (subgroupMatrix && !cpu && trials.subgroupMatrix)
    subgroupMatrix.problem = (await outcomeOf(trials.subgroupMatrix, device)).problem;
  if (!cpu && trials.resident)
    Object.assign(device.adapter, { residentInvocations: (await outcomeOf(trials.resident, device)).found });
  return device;
}

/** What went wrong in a trial, or what it found. One that was passed is not made again by the same adapter, where that can be kept. */
export async function outcomeOf(
  trial: Trial<number | void>,
  { adapter }: Pick<Device, "adapter">,
): Promise<{ problem?: string | undefined; found?: number | undefined }> {
  const key = adapterKey(adapter);
  const passed = await readPassed(key, trial);
  if (passed) return { found: passed.found };
  let found: number | undefined;
  const problem = await problemWith(async () => void (found = (await trial.run()) ?? undefined));
  if (problem !== undefined) return { problem };
  await keepPassed(key, trial, found);
  return { found };
}

const namesOf = (leaveOut: Iterable<string>): string[] =>
  Array.from(leaveOut, (name) => checkedName("init: leaveOut", name));

/** What the environment leaves out, or else the file of this adapter. */
async function leftOutOn({ adapter }: Device): Promise<string[]> {
  const given = environment("GPUGRAD_KERNELS");
  if (given !== undefined) return parseLeftOut("GPUGRAD_KERNELS", given);
  const { leftOut } = ((await readLeftOut(adapterKey(adapter))) ?? {}) as { leftOut?: string[] };
  return Array.isArray(leftOut) ? leftOut : [];
}

function limitFromEnvironment(): number {
  const given = environment("GPUGRAD_MEMORY_LIMIT");
  const limit = given ? Number(given) : Infinity;
  check(limit > 0, `GPUGRAD_MEMORY_LIMIT: ${given} is not a number of bytes such as ${2 ** 30}.`);
  return limit;
}

/** Runs a trial on a device of its own, so that what breaks there breaks nothing else. Returns what went wrong, if anything did. */
export async function problemWith(trial: () => Promise<void>): Promise<string | undefined> {
  const outer = current;
  const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  try {
    current = await Device.create();
    const problem = await trial().then(() => undefined, messageOf);
    await current.finish(); // throws where a kernel that does not compile is behind it
    return problem;
  } catch (error) {
    return messageOf(error);
  } finally {
    if (current !== outer) await current?.destroy();
    current = outer;
  }
}

/** The device made by {@link init}. */
export function device(): Device {
  if (!current) throw new GpugradError("there is no device yet: `await init()` before the first tensor.");
  return current;
}

/** Does `work` with another device in the place of the present one. */
export function withDevice<T>(other: Device, work: () => T): T {
  const before = current;
  current = other;
  try {
    return work();
  } finally {
    current = before;
  }
}

/** Finishes the work under way and gives the device back, so that the process can end. `init()` makes a new one. */
export async function destroy(): Promise<void> {
  const old = current;
  current = undefined;
  starting = undefined;
  keptLimit = undefined;
  await old?.destroy();
}
