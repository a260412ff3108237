import { deserialize, serialize } from "node:v8";
import { GpugradError } from "@gpugrad/tensor";
import { launcher, partOf, sumHalves, type Communicator, type ReduceOp } from "@gpugrad/train";
import { bindingsOf, type Bindings, type Handle } from "./bindings.ts";
import { findLibrary } from "./library.ts";

/** What one call moves at most: counts of bytes are 32 bits. */
const MOST_BYTES = 2 ** 30;

/** Values up to this size, with their length before them, take one call in place of two. */
const SMALL = 1020;

/** The ranks that MPI has started. */
export interface Mpi extends Communicator {
  /** `Open MPI v4.1.4` */
  readonly version: string;
  /** The library's file. */
  readonly library: string;
  /** Leaves the others: no call can follow. */
  close(): Promise<void>;
}

/**
 * Joins the ranks that a launcher (`mpirun`, `mpiexec`, `srun`) has started.
 * @throws where there is no MPI library, or it is another one than the launcher's
 */
export async function joinMpi(): Promise<Mpi> {
  const library = findLibrary();
  const mpi = bindingsOf(library);
  const provided = new Int32Array(1);
  mpi.initThread(mpi.multiple, provided);
  if (provided[0]! < mpi.serialized)
    throw new GpugradError(
      `MPI: ${library.version} (${library.path}) was built without threads, and calls that wait run in one. Use another build.`,
    );
  const [rank, size] = [new Int32Array(1), new Int32Array(1)].map((number, i) => {
    if (i === 0) mpi.rank(mpi.world, number);
    else mpi.size(mpi.world, number);
    return number[0]!;
  }) as [number, number];
  const launched = launcher(process.env);
  if (launched && launched.size !== size) {
    throw new GpugradError(
      `MPI: ${library.version} (${library.path}) knows ${size} rank(s), and the launcher has started ${launched.size} (${launched.variables}). ` +
        `They belong to different MPIs: start with the mpirun of this library, or name the launcher's library in GPUGRAD_MPI_LIBRARY.`,
    );
  }
  const name = new Uint8Array(8192);
  const length = new Int32Array(1);
  mpi.processorName(name, length);
  const alone = new Ranks(mpi, mpi.world, rank, size, []);
  const hosts = await alone.allGather(Buffer.from(name.subarray(0, length[0])).toString());
  const world = new Ranks(mpi, mpi.world, rank, size, hosts);
  const close = (): Promise<void> => world.barrier().then(() => mpi.finalize()); // which would wait on the event loop
  return Object.assign(world, { version: library.version, library: library.path, close });
}

/** A communicator of MPI. One call is under way at a time, in the order in which they are made. */
class Ranks implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly hosts: readonly string[];
  readonly #mpi: Bindings;
  readonly #comm: Handle;
  #last: Promise<unknown> = Promise.resolve();

  constructor(mpi: Bindings, comm: Handle, rank: number, size: number, hosts: readonly string[]) {
    this.#mpi = mpi;
    this.#comm = comm;
    this.rank = rank;
    this.size = size;
    this.hosts = hosts;
  }

  barrier(): Promise<void> {
    return this.#inTurn(() => this.#mpi.barrier(this.#comm));
  }

  broadcast<T>(value: T, root = 0): Promise<T> {
    return this.#inTurn(async () => {
      let bytes = this.rank === root ? serialize(value) : Buffer.alloc(0);
      const length = new Float64Array([bytes.byteLength]);
      const { byte, broadcast } = this.#mpi;
      await broadcast(length, 8, byte, root, this.#comm);
      if (this.rank !== root) bytes = Buffer.alloc(length[0]!);
      for (let at = 0; at < bytes.byteLength; at += MOST_BYTES) {
        const piece = bytes.subarray(at, at + MOST_BYTES);
        await broadcast(piece, piece.byteLength, byte, root, this.#comm);
      }
      return deserialize(bytes) as T;
    });
  }

  allGather<T>(value: T): Promise<T[]> {
    return this.#inTurn(async () => {
      const bytes = serialize(value);
      const each = SMALL + 4;
      const mine = Buffer.alloc(each);
      mine.writeUInt32LE(bytes.byteLength);
      bytes.copy(mine, 4);
      const all = Buffer.alloc(each * this.size);
      await this.#mpi.allGather(mine, each, this.#mpi.byte, all, each, this.#mpi.byte, this.#comm);
      const lengths = Array.from({ length: this.size }, (_, rank) => all.readUInt32LE(rank * each));
      if (lengths.every((length) => length <= SMALL))
        return lengths.map((length, rank) => deserialize(all.subarray(rank * each + 4, rank * each + 4 + length)) as T);
      return (await this.#allGatherBytes(bytes, lengths)).map((own) => deserialize(own) as T);
    });
  }

  /** Bytes of known lengths. */
  async #allGatherBytes(bytes: Uint8Array, lengths: readonly number[]): Promise<Buffer[]> {
    const { byte, allGatherV } = this.#mpi;
    const all = lengths.map((length) => Buffer.alloc(length));
    const most = Math.floor(MOST_BYTES / this.size);
    for (let at = 0; at < Math.max(...lengths); at += most) {
      const counts = Int32Array.from(lengths, (length) => Math.max(0, Math.min(most, length - at)));
      const places = placesOf(counts);
      const piece = bytes.subarray(at, at + counts[this.rank]!);
      const to = Buffer.alloc(places.at(-1)! + counts.at(-1)!);
      await allGatherV(piece, piece.byteLength, byte, to, counts, places, byte, this.#comm);
      all.forEach((own, rank) => to.copy(own, at, places[rank], places[rank]! + counts[rank]!));
    }
    return all;
  }

  allReduce(values: Float32Array | Uint16Array, op: ReduceOp = "sum"): Promise<void> {
    return this.#inTurn(async () => {
      const most = MOST_BYTES / values.BYTES_PER_ELEMENT / 2;
      for (let at = 0; at < values.length; at += most) await this.#allReducePart(values.subarray(at, at + most), op);
    });
  }

  /**
   * Each rank is given its part of all ranks' elements, reduces them in the order of ranks, and gives the result to all: as much on the wire as the
   * best algorithms have, 2 (n - 1) / n of the elements each way, and the order of the sum is known.
   */
  async #allReducePart(values: Float32Array | Uint16Array, op: ReduceOp): Promise<void> {
    const { size, rank } = this;
    const { byte, float, sum, max, allToAllV, allGatherV, reduceLocal } = this.#mpi;
    const width = values.BYTES_PER_ELEMENT;
    const parts = Array.from({ length: size }, (_, part) => partOf(values.length, part, size));
    const counts = Int32Array.from(parts, ([begin, end]) => width * (end - begin));
    const places = Int32Array.from(parts, ([begin]) => width * begin);
    const [begin, end] = parts[rank]!;
    const own = end - begin;
    const given = new (values instanceof Float32Array ? Float32Array : Uint16Array)(own * size);
    const ownCounts = new Int32Array(size).fill(width * own);
    await allToAllV(values, counts, places, byte, given, ownCounts, placesOf(ownCounts), byte, this.#comm);
    let result: Float32Array | Uint16Array;
    if (given instanceof Uint16Array)
      result = sumHalves(parts.map((_, part) => given.subarray(part * own, (part + 1) * own)));
    else {
      result = given.subarray(0, own);
      for (let part = 1; part < size; part++)
        await reduceLocal(given.subarray(part * own, (part + 1) * own), result, own, float, op === "sum" ? sum : max);
    }
    await allGatherV(result, width * own, byte, values, counts, places, byte, this.#comm);
  }

  split(color: number): Promise<Communicator> {
    return this.#inTurn(async () => {
      const to = new BigInt64Array(1);
      await this.#mpi.split(this.#comm, color, this.rank, to);
      const comm = this.#mpi.handleBytes === 8 ? to[0]! : BigInt.asIntN(32, to[0]!);
      return comm;
    }).then(async (comm) => {
      const colors = await this.allGather(color);
      const members = colors.flatMap((other, rank) => (other === color ? [rank] : []));
      const hosts = members.map((rank) => this.hosts[rank]!);
      return new Ranks(this.#mpi, comm, members.indexOf(this.rank), members.length, hosts);
    });
  }

  abort(code: number): void {
    // The library may wait for a thread of its own that is in a call.
    setTimeout(() => process.kill(process.pid, "SIGKILL"), 2000);
    this.#mpi.abort(this.#comm, code);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** Where parts of these lengths lie, one after the other. */
function placesOf(counts: Int32Array): Int32Array {
  let at = 0;
  return counts.map((count) => (at += count) - count);
}
