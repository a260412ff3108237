import { checked } from "./arguments.ts";
import { numerics, type Inspectable } from "./debug.ts";
import { deviceBytes, dtypes, isFloat, type DType } from "./dtype.ts";
import { GpugradError } from "./errors.ts";
import { device } from "./runtime/init.ts";
import { kernel } from "./runtime/kernel.ts";
import { run } from "./runtime/run.ts";
import { forEachTensor, keep } from "./scope.ts";
import { showShape, type Shape } from "./shape.ts";
import { provenance } from "./provenance.ts";
import type { Storage } from "./storage.ts";
import { fromArray } from "./factories.ts";
import type { Tensor } from "./tensor.ts";
import code from "./numerics.wgsl";

const statisticsKernel = kernel("numerics.wgsl", code);

/** Tensors that one log has room for, and words of each. */
const SLOTS = 4096;
const WORDS = 4;

/** What a tensor held when an op ran. */
export interface Inspected {
  /** The name given for it, such as a parameter's. */
  readonly name: string | undefined;
  readonly shape: Shape;
  readonly dtype: DType;
  /** The op that made it. */
  readonly madeBy: string;
  /** How many elements are NaN, and how many infinite. */
  readonly nan: number;
  readonly inf: number;
  /** Bounds of the finite elements; undefined when there are none. */
  readonly smallest: number | undefined;
  readonly largest: number | undefined;
}

/** One run of an op. */
export interface OpRun {
  /** `mul`, `mul backward`, or `mul backward (sum)` for a part of another op's backward. */
  readonly op: string;
  readonly direction: "forward" | "backward";
  readonly output: Inspected;
  readonly inputs: readonly Inspected[];
  /** Whether a plain argument is infinite or NaN, as the −∞ for masked scores. */
  readonly onPurpose: boolean;
  /** The name of the leaf whose gradient the output is, or is added to. */
  readonly leaf: string | undefined;
}

/** A tensor whose statistics are on the device still. */
type Pending = Omit<Inspected, "nan" | "inf" | "smallest" | "largest"> & { slot: number; size: number };

interface PendingRun extends Omit<OpRun, "output" | "inputs"> {
  readonly output: Pending;
  readonly inputs: readonly Pending[];
}

/** Statistics on the device, and on the host what they are of. */
interface Log {
  readonly statistics: Tensor;
  readonly runs: PendingRun[];
  /** What was looked at is not looked at again, until it changes in place. */
  readonly seen: WeakMap<Storage, { version: number; pending: Pending }>;
  used: number;
}

/** Ops under observation: see {@link watchNumerics}. */
export interface NumericsWatch {
  /** Looks at what `op` made of `args`. */
  inspect: (op: string, args: readonly unknown[], output: Inspectable, leaf?: Inspectable) => void;
  /** Until all that was inspected is reported. */
  finish: () => Promise<void>;
  /** Forgets what is not reported yet. */
  drop: () => void;
}

/**
 * Has the device check the tensors passed to `inspect`, with one more dispatch per tensor, and no read until `finish` (or until some
 * thousand tensors were checked). Then `report` is called with the runs, in their order. Assign it to {@link numerics}.
 * @param nameOf names for tensors, by their memory
 */
export function watchNumerics(
  report: (runs: readonly OpRun[]) => void,
  nameOf: (storage: Storage) => string | undefined = () => undefined,
): NumericsWatch {
  let log: Log | undefined;
  /** Logs that are full are read in the background. */
  let reading: Promise<void> = Promise.resolve();

  const finish = (): Promise<void> => {
    const current = log;
    log = undefined;
    if (current) reading = reading.then(() => read(current)).then(report);
    return reading;
  };

  /** The log, if it has room for `count` tensors, else a new one. */
  const logFor = (count: number): Log => {
    if (log && log.statistics.storage.device !== device()) log = undefined; // it went with its device
    if (log && log.used + count > SLOTS) void finish();
    return (log ??= {
      statistics: keep(fromArray(new Uint32Array(SLOTS * WORDS), [SLOTS, WORDS], "u32")),
      runs: [],
      seen: new WeakMap(),
      used: 0,
    });
  };

  const inspect: NumericsWatch["inspect"] = (op, args, output, leaf) => {
    const tensors: Tensor[] = [];
    forEachTensor(args, (tensor) => !tensor.disposed && tensor.dtype !== "bool" && tensors.push(tensor));
    const current = logFor(tensors.length + 1);
    const look = (x: Inspectable): Pending => {
      const before = current.seen.get(x.storage);
      const fresh = before?.version === x.storage.version ? undefined : lookAt(current, x);
      const { dtype, shape, size, op: madeBy } = x;
      const pending = { name: nameOf(x.storage), dtype, shape, size, madeBy, slot: fresh ?? before!.pending.slot };
      if (fresh !== undefined) current.seen.set(x.storage, { version: x.storage.version, pending });
      return pending;
    };
    const outer = provenance.op; // "user", unless this is a part of another op's backward
    current.runs.push({
      op: outer === "user" ? op : `${outer} (${op})`,
      direction: outer !== "user" || op.endsWith(" backward") ? "backward" : "forward",
      inputs: tensors.map(look),
      output: look(output),
      onPurpose: args.some(holdsInfinity),
      leaf: leaf && nameOf(leaf.storage),
    });
  };

  const drop = (): void => {
    log?.statistics.dispose();
    log = undefined;
  };
  return { inspect, finish, drop };
}

/** Has the device write x's statistics into the next slot. */
function lookAt(log: Log, x: Inspectable): number {
  const slot = log.used++;
  const words = deviceBytes(x.dtype, x.size) / 4;
  const threads = Math.min(Math.ceil(words / 16), 2 ** 16);
  run(
    statisticsKernel,
    { x, slots: log.statistics },
    { size: x.size, words, threads, slot },
    { threads, overrides: { DTYPE: dtypes.indexOf(x.dtype) } },
  );
  return slot;
}

function holdsInfinity(argument: unknown): boolean {
  if (typeof argument === "number") return !Number.isFinite(argument);
  if (Array.isArray(argument)) return argument.some(holdsInfinity);
  const plain = typeof argument === "object" && argument && Object.getPrototypeOf(argument) === Object.prototype;
  return plain ? Object.values(argument).some(holdsInfinity) : false;
}

/** Reads a log and gives it back. */
async function read({ statistics, runs }: Log): Promise<OpRun[]> {
  const { storage } = statistics;
  let words: Uint32Array;
  try {
    words = new Uint32Array(await storage.device.read(storage.buffer, statistics.byteLength));
  } catch {
    return []; // the device failed: the next read throws
  } finally {
    statistics.dispose();
  }
  const withStatistics = ({ slot, size, ...seen }: Pending): Inspected => {
    const [nan, inf, largest, complement] = words.subarray(WORDS * slot, WORDS * (slot + 1)) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const finite = size > nan + inf;
    return {
      ...seen,
      nan,
      inf,
      smallest: finite ? valueOf(~complement >>> 0, seen.dtype) : undefined,
      largest: finite ? valueOf(largest, seen.dtype) : undefined,
    };
  };
  return runs.map(({ output, inputs, ...rest }) => ({
    ...rest,
    output: withStatistics(output),
    inputs: inputs.map(withStatistics),
  }));
}

const scratch = new DataView(new ArrayBuffer(4));

/** The number of a key: see numerics.wgsl. */
function valueOf(key: number, dtype: DType): number {
  if (dtype === "u32") return key;
  if (dtype === "i32") return (key ^ 0x80000000) | 0;
  scratch.setUint32(0, key >>> 31 ? key & 0x7fffffff : ~key >>> 0);
  return Number(scratch.getFloat32(0).toPrecision(6));
}

/** Whether the op made a NaN or an infinity that no input had, and that the caller did not ask for. */
export function isOrigin({ output, inputs, onPurpose }: OpRun): boolean {
  const clean = (what: "nan" | "inf"): boolean => inputs.every((input) => !isFloat(input.dtype) || input[what] === 0);
  const produced = clean("nan") && (output.nan > 0 || (output.inf > 0 && clean("inf")));
  return produced && !onPurpose && isFloat(output.dtype);
}

/** What `debug()` switches. */
export interface DebugOptions {
  /** Names the first op that produces NaN or infinity. */
  checkNumerics?: boolean;
}

let finding: GpugradError | undefined;

const debugWatch = watchNumerics((runs) => {
  const first = runs.find(isOrigin);
  if (first) finding ??= errorOf(first);
});

/**
 * Switches checks on and off. With `checkNumerics`, every op's result is looked through on the device, and the next `data()` or
 * `item()` throws if there was a NaN or an infinity that no input had: the error names the first op that made one, with the shape,
 * range and counts of its inputs. An infinity that the caller passes in as a number (`maskedFill(x, mask, -Infinity)`) is no
 * finding. Costs one more dispatch per op. `detectAnomaly()` of autograd does so for a piece of work, and knows the parameters' names.
 */
export const debug = checked("debug", { options: { checkNumerics: "boolean?" } }, (options: DebugOptions): void => {
  const { checkNumerics } = options;
  if (checkNumerics === undefined) return;
  debugWatch.drop();
  finding = undefined;
  Object.assign(numerics, { enabled: checkNumerics, inspect: debugWatch.inspect, report });
});

async function report(): Promise<void> {
  await debugWatch.finish();
  const error = finding;
  finding = undefined;
  if (error) throw error;
}

function errorOf({ op, output, inputs }: OpRun): GpugradError {
  const lines = [output, ...inputs].map((seen, i) => `\n  ${i === 0 ? "result" : `input ${i}`}: ${show(seen)}`);
  const hint = inputs.some(({ dtype }) => !isFloat(dtype))
    ? "\nAn index out of range gives NaN: compare its numbers with the shapes."
    : "";
  return new GpugradError(
    `checkNumerics: ${op} is the first op that produced ${output.nan > 0 ? "NaN" : "infinity"}:${lines.join("")}${hint}`,
  );
}

/** `f32 [3,4] made by log: 2 NaN, 0 infinite, 10 finite from -1 to 3.5`. */
function show({ dtype, shape, madeBy, nan, inf, smallest, largest }: Inspected): string {
  const size = shape.reduce((a, b) => a * b, 1);
  const range = smallest === undefined ? "" : ` from ${smallest} to ${largest}`;
  const numbers = isFloat(dtype)
    ? `${nan} NaN, ${inf} infinite, ${size - nan - inf} finite${range}`
    : `${size} numbers${range}`;
  return `${dtype} ${showShape(shape)} made by ${madeBy}: ${numbers}`;
}
