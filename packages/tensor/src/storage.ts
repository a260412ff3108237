import type { DType } from "./dtype.ts";
import { GpugradError } from "./errors.ts";
import { provenance } from "./provenance.ts";
import { describers, type Device } from "./runtime/device.ts";
import { device } from "./runtime/init.ts";
import type { PooledBuffer } from "./runtime/pool.ts";
import { showBytes } from "./runtime/show-bytes.ts";

/** What lives on a device. It goes with the device. */
interface Ledger {
  readonly live: Set<Storage>;
  bytes: number;
  peakBytes: number;
}

const ledgers = new WeakMap<Device, Ledger>();

function ledgerOf(device: Device): Ledger {
  let ledger = ledgers.get(device);
  if (!ledger) ledgers.set(device, (ledger = { live: new Set(), bytes: 0, peakBytes: 0 }));
  return ledger;
}

/** Device memory behind one or more tensors (a reshape shares it), counted by reference. */
export class Storage {
  readonly device: Device;
  readonly buffer: PooledBuffer;
  readonly op: string;
  /** What it is kept for, if `keep` was given that. */
  owner: string | undefined;
  /** How many steps of a tape need it for their backward. */
  saves = 0;
  /** Counts in-place changes, so that autograd notices when a value it saved is no longer there. */
  version = 0;
  #references = 1;

  constructor(bytes: number | Uint8Array) {
    this.device = device();
    this.op = provenance.op;
    this.buffer =
      typeof bytes === "number" ? this.device.allocate(bytes, this.op) : this.device.allocateWith(bytes, this.op);
    const ledger = ledgerOf(this.device);
    ledger.live.add(this);
    ledger.bytes += this.buffer.bytes;
    ledger.peakBytes = Math.max(ledger.peakBytes, ledger.bytes);
  }

  /** Whether more than one tensor holds it. */
  get shared(): boolean {
    return this.#references > 1;
  }

  retain(): this {
    if (this.#references === 0)
      throw new GpugradError(`the memory of a tensor made by ${this.op} was given back already.`);
    this.#references++;
    return this;
  }

  /** @returns whether nobody holds it any more */
  release(): boolean {
    if (--this.#references > 0) return false;
    const ledger = ledgerOf(this.device);
    ledger.live.delete(this);
    ledger.bytes -= this.buffer.bytes;
    this.device.pool.give(this.buffer);
    return true;
  }
}

/** What kernels are given: elements of one dtype in device memory. Every tensor is one. */
export interface DeviceArray {
  readonly dtype: DType;
  readonly storage: Storage;
  readonly buffer: PooledBuffer;
  toString(): string;
}

/** What lives on the device. Bytes are those of the buffers, rounded up as the pool does. */
export interface MemoryReport {
  /** Buffers that tensors hold. */
  storages: number;
  bytes: number;
  peakBytes: number;
  /** Waiting in the pool to be used again. */
  freeBytes: number;
  /** The same by the op that made it, largest first. */
  byOp: Record<string, { storages: number; bytes: number }>;
}

/** What lives on the device now, by the op that made it. */
export function memory(): MemoryReport {
  const { live, bytes, peakBytes } = ledgerOf(device());
  const byOp = new Map<string, { storages: number; bytes: number }>();
  for (const { op, buffer } of live) {
    const entry = byOp.get(op) ?? { storages: 0, bytes: 0 };
    entry.storages++;
    entry.bytes += buffer.bytes;
    byOp.set(op, entry);
  }
  return {
    storages: live.size,
    bytes,
    peakBytes,
    freeBytes: device().pool.freeBytes,
    byOp: Object.fromEntries([...byOp].sort(([, a], [, b]) => b.bytes - a.bytes)),
  };
}

/** Bytes on the device for one purpose. */
export interface OwnedMemory {
  bytes: number;
  /** The same by the op that made it, largest first. */
  byOp: Record<string, number>;
}

/**
 * What all allocated memory is for, largest first: `parameters`, `gradients`, `optimizer state`, `saved for backward` (what the tape holds),
 * `other tensors`, `images of operands` (what products read on CPU adapters), `recordings` (set aside for replays, and not in a tensor now) and `free in the pool`.
 */
export function memoryByOwner(of: Device = device()): Record<string, OwnedMemory> {
  const byOwner = new Map<string, { bytes: number; byOp: Map<string, number> }>();
  const add = (owner: string, bytes: number, op?: string): void => {
    const entry = byOwner.get(owner) ?? { bytes: 0, byOp: new Map<string, number>() };
    byOwner.set(owner, entry);
    entry.bytes += bytes;
    if (op !== undefined) entry.byOp.set(op, (entry.byOp.get(op) ?? 0) + bytes);
  };
  for (const { owner, saves, op, buffer } of ledgerOf(of).live) {
    add(owner ?? (saves > 0 ? "saved for backward" : "other tensors"), buffer.bytes, op);
  }
  const { freeBytes, reservedBytes, imageBytes } = of.pool;
  if (imageBytes > 0) add("images of operands", imageBytes);
  if (reservedBytes > 0) add("recordings", reservedBytes);
  if (freeBytes > reservedBytes) add("free in the pool", freeBytes - reservedBytes);
  const entries = [...byOwner].map(([owner, { bytes, byOp }]): [string, OwnedMemory] => [
    owner,
    { bytes, byOp: Object.fromEntries([...byOp].sort(([, a], [, b]) => b - a)) },
  ]);
  return Object.fromEntries(entries.sort(([, a], [, b]) => b.bytes - a.bytes));
}

/** How many ops of an owner are listed by name. */
const LISTED = 4;

describers.memory = (of) =>
  Object.entries(memoryByOwner(of))
    .map(([owner, { bytes, byOp }]) => {
      const ops = Object.entries(byOp);
      const names = ops.slice(0, LISTED).map(([op, part]) => `${op} ${showBytes(part)}`);
      const rest = ops.length > LISTED ? ", …" : "";
      const interesting = ops.length > 1 || owner === "saved for backward" || owner === "other tensors";
      return `\n  ${showBytes(bytes)} ${owner}${interesting && names.length > 0 ? ` (${names.join(", ")}${rest})` : ""}`;
    })
    .join("");

/** Starts the count of `peakBytes` again from what lives now. */
export function resetPeakMemory(): void {
  const ledger = ledgerOf(device());
  ledger.peakBytes = ledger.bytes;
}
