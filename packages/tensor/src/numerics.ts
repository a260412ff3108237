import { numerics } from "./debug.ts";
import { deviceBytes, dtypes, isFloat, type DType } from "./dtype.ts";
import { GpugradError } from "./errors.ts";
import { device } from "./runtime/device.ts";
import { kernel } from "./runtime/kernel.ts";
import { run } from "./runtime/run.ts";
import { forEachTensor, keep } from "./scope.ts";
import { showShape } from "./shape.ts";
import { provenance, type Storage } from "./storage.ts";
import { fromArray, type Tensor } from "./tensor.ts";
import code from "./numerics.wgsl";

const statisticsKernel = kernel("numerics.wgsl", code);

/** Tensors that one log has room for, and words of each. */
const SLOTS = 4096;
const WORDS = 4;

/** A tensor as it was when an op ran. */
interface Seen {
  readonly slot: number;
  readonly what: string;
  readonly dtype: DType;
  readonly size: number;
}

/** One run of an op, in the order of execution. */
interface Entry {
  readonly op: string;
  readonly output: Seen;
  readonly inputs: readonly Seen[];
  /** Whether a plain argument is infinite or NaN, as the −∞ for masked scores. */
  readonly onPurpose: boolean;
}

/** Statistics on the device, and on the host what they are of. */
interface Log {
  readonly statistics: Tensor;
  readonly entries: Entry[];
  /** Results of ops are inspected once, though several ops read them. */
  readonly results: WeakMap<Storage, Seen>;
  used: number;
}

let log: Log | undefined;
/** Logs that are full are read in the background. The first finding is what `report` throws. */
let reading: Promise<void> = Promise.resolve();
let finding: GpugradError | undefined;

/** What `debug()` switches. */
export interface DebugOptions {
  /** Names the first op that produces NaN or infinity. */
  checkNumerics?: boolean;
}

/**
 * Switches checks on and off. With `checkNumerics`, every op's result is looked through on the device, and the next `data()` or
 * `item()` throws if there was a NaN or an infinity that no input had: the error names the first op that made one, with the shape,
 * range and counts of its inputs. An infinity that the caller passes in as a number (`maskedFill(x, mask, -Infinity)`) is no
 * finding. Costs one more dispatch per op.
 */
export function debug({ checkNumerics }: DebugOptions): void {
  if (checkNumerics === undefined) return;
  log?.statistics.dispose();
  log = undefined;
  finding = undefined;
  Object.assign(numerics, { enabled: checkNumerics, inspect, report });
}

function inspect(op: string, args: readonly unknown[], output: Tensor): void {
  const tensors: Tensor[] = [];
  forEachTensor(args, (tensor) => !tensor.disposed && tensor.dtype !== "bool" && tensors.push(tensor));
  const current = logFor(tensors.length + 1);
  const inputs = tensors.map((tensor) => {
    const seen = current.results.get(tensor.storage);
    return seen ? { ...seen, what: describe(tensor) } : look(current, tensor);
  });
  const result = look(current, output);
  current.results.set(output.storage, result);
  const name = provenance.op === "user" ? op : `${provenance.op} (${op})`; // a part of another op's backward
  current.entries.push({ op: name, output: result, inputs, onPurpose: args.some(holdsInfinity) });
}

/** The log, if it has room for `count` tensors, else a new one. */
function logFor(count: number): Log {
  if (log && log.statistics.storage.device !== device()) log = undefined; // it went with its device
  if (log && log.used + count > SLOTS) {
    const full = log;
    reading = reading.then(() => read(full));
    log = undefined;
  }
  log ??= {
    statistics: keep(fromArray(new Uint32Array(SLOTS * WORDS), [SLOTS, WORDS], "u32")),
    entries: [],
    results: new WeakMap(),
    used: 0,
  };
  return log;
}

const describe = ({ dtype, shape, op }: Tensor): string => `${dtype} ${showShape(shape)} made by ${op}`;

/** Has the device write x's statistics into the next slot. */
function look(current: Log, x: Tensor): Seen {
  const slot = current.used++;
  const words = deviceBytes(x.dtype, x.size) / 4;
  const threads = Math.min(Math.ceil(words / 16), 2 ** 16);
  run(
    statisticsKernel,
    { x, slots: current.statistics },
    { size: x.size, words, threads, slot },
    { threads, overrides: { DTYPE: dtypes.indexOf(x.dtype) } },
  );
  return { slot, what: describe(x), dtype: x.dtype, size: x.size };
}

function holdsInfinity(argument: unknown): boolean {
  if (typeof argument === "number") return !Number.isFinite(argument);
  if (Array.isArray(argument)) return argument.some(holdsInfinity);
  const plain = typeof argument === "object" && argument && Object.getPrototypeOf(argument) === Object.prototype;
  return plain ? Object.values(argument).some(holdsInfinity) : false;
}

async function report(): Promise<void> {
  if (log && log.entries.length > 0) {
    const current = log;
    log = undefined;
    reading = reading.then(() => read(current));
  }
  await reading;
  const error = finding;
  finding = undefined;
  if (error) throw error;
}

/** Reads a log, notes its first finding, and gives it back. */
async function read({ statistics, entries }: Log): Promise<void> {
  const { storage } = statistics;
  let words: Uint32Array;
  try {
    words = new Uint32Array(await storage.device.read(storage.buffer, statistics.byteLength));
  } catch {
    return; // the device failed: whoever reads next is told
  } finally {
    statistics.dispose();
  }
  if (finding) return;
  const of = ({ slot }: Seen): Statistics => statisticsOf(words, slot);
  const first = entries.find(({ output, inputs, onPurpose }) => {
    const { nan, inf } = of(output);
    const floats = inputs.filter(({ dtype }) => isFloat(dtype)).map(of);
    const clean = floats.every((s) => s.nan === 0);
    const produced = clean && (nan > 0 || (inf > 0 && floats.every((s) => s.inf === 0)));
    return produced && !onPurpose && isFloat(output.dtype);
  });
  if (!first) return;
  const lines = [first.output, ...first.inputs].map(
    (seen, i) => `\n  ${i === 0 ? "result" : `input ${i}`}: ${seen.what}: ${show(seen, of(seen))}`,
  );
  const kind = of(first.output).nan > 0 ? "NaN" : "infinity";
  const indexed = first.inputs.some(({ dtype }) => !isFloat(dtype));
  const hint = indexed ? "\nAn index out of range gives NaN: compare its numbers with the shapes." : "";
  finding = new GpugradError(
    `checkNumerics: ${first.op} is the first op that produced ${kind}:${lines.join("")}${hint}`,
  );
}

interface Statistics {
  nan: number;
  inf: number;
  largest: number;
  smallest: number;
}

function statisticsOf(words: Uint32Array, slot: number): Statistics {
  const [nan, inf, largest, complement] = words.subarray(WORDS * slot, WORDS * (slot + 1)) as unknown as [
    number,
    number,
    number,
    number,
  ];
  return { nan, inf, largest, smallest: ~complement >>> 0 };
}

/** `2 NaN, 0 infinite; the other 10 from -1 to 3.5`. */
function show({ dtype, size }: Seen, { nan, inf, largest, smallest }: Statistics): string {
  const finite = size - nan - inf;
  const range = finite > 0 ? ` from ${valueOf(smallest, dtype)} to ${valueOf(largest, dtype)}` : "";
  return isFloat(dtype) ? `${nan} NaN, ${inf} infinite, ${finite} finite${range}` : `${size} numbers${range}`;
}

const scratch = new DataView(new ArrayBuffer(4));

/** The number of a key: see numerics.wgsl. */
function valueOf(key: number, dtype: DType): number {
  if (dtype === "u32") return key;
  if (dtype === "i32") return (key ^ 0x80000000) | 0;
  scratch.setUint32(0, key >>> 31 ? key & 0x7fffffff : ~key >>> 0);
  return Number(scratch.getFloat32(0).toPrecision(6));
}
