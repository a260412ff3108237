import { setTimeout as sleep } from "node:timers/promises";
import koffi, { type LibraryHandle } from "koffi";
import type { Abi, Library } from "./library.ts";

/** A handle as an integer register has it: an address, or a number. */
export type Handle = bigint;

/** The handles and numbers of a library that are used here. */
interface Constants {
  world: Handle;
  byte: Handle;
  float: Handle;
  sum: Handle;
  max: Handle;
  /** MPI_THREAD_SERIALIZED and MPI_THREAD_MULTIPLE. */
  serialized: number;
  multiple: number;
  /** Bytes of a handle in memory. */
  handleBytes: 4 | 8;
}

// Of 128 KiB by default, which MPICH's reductions overflow.
koffi.config({ async_stack_size: 4 * 2 ** 20 });

const threads = { serialized: 2, multiple: 3 };

const CONSTANTS: Readonly<Record<Abi, (lib: LibraryHandle) => Constants>> = {
  "Open MPI": (lib) => {
    const at = (name: string): Handle => koffi.address(lib.symbol(`ompi_mpi_${name}`, "void"));
    const [world, byte, float, sum, max] = ["comm_world", "byte", "float", "op_sum", "op_max"].map(at) as Handle5;
    return { world, byte, float, sum, max, ...threads, handleBytes: 8 };
  },
  MPICH: () => ({
    ...{ world: 0x44000000n, byte: 0x4c00010dn, float: 0x4c00040an, sum: 0x58000003n, max: 0x58000001n },
    ...threads,
    handleBytes: 4,
  }),
  // https://www.mpi-forum.org/docs/mpi-5.0/: "Application Binary Interface"
  "MPI ABI": () => ({
    ...{ world: 0x101n, byte: 0x247n, float: 0x210n, sum: 0x21n, max: 0x23n },
    ...{ serialized: 2048, multiple: 4096, handleBytes: 8 },
  }),
};
type Handle5 = [Handle, Handle, Handle, Handle, Handle];

/** Bytes of an array, or nothing. */
type Memory = ArrayBufferView | null;

/** A call of the library that takes long or waits for other ranks, off the event loop. */
type Waiting<T extends unknown[]> = (...given: T) => Promise<void>;

/**
 * How often a call that waits for other ranks is looked at: at once for so long, then after each pause; in milliseconds. MPICH moves data only while
 * it is looked at, and an exchange of 25 MB within a machine takes 37 ms.
 */
const [AT_ONCE, PAUSE] = [50, 1];

/** The library's functions that are used here. */
export interface Bindings extends Constants {
  initThread(required: number, provided: Int32Array): void;
  /** Only by the thread that has called `initThread`. */
  finalize(): void;
  abort(comm: Handle, code: number): void;
  rank(comm: Handle, to: Int32Array): void;
  size(comm: Handle, to: Int32Array): void;
  processorName(text: Uint8Array, length: Int32Array): void;
  split: Waiting<[comm: Handle, color: number, key: number, to: BigInt64Array]>;
  barrier: Waiting<[comm: Handle]>;
  broadcast: Waiting<[data: Memory, count: number, type: Handle, root: number, comm: Handle]>;
  allGather: Waiting<
    [from: Memory, count: number, type: Handle, to: Memory, each: number, toType: Handle, comm: Handle]
  >;
  allGatherV: Waiting<
    [
      ...[from: Memory, count: number, type: Handle],
      ...[to: Memory, counts: Int32Array, places: Int32Array, toType: Handle, comm: Handle],
    ]
  >;
  allToAllV: Waiting<
    [
      ...[from: Memory, counts: Int32Array, places: Int32Array, type: Handle],
      ...[to: Memory, toCounts: Int32Array, toPlaces: Int32Array, toType: Handle, comm: Handle],
    ]
  >;
  reduceLocal: Waiting<[from: Memory, into: Memory, count: number, type: Handle, op: Handle]>;
}

/**
 * The functions of a library, as C declares them. Handles are passed as 64 bits: pointers are, and where they are 32-bit numbers, the
 * upper half of a register is ignored.
 */
export function bindingsOf({ lib, abi }: Library): Bindings {
  const now = (name: string, args: string[]) => {
    const f = lib.func(name, "int", args) as (...given: unknown[]) => number;
    return (...given: unknown[]): void => {
      const code = f(...given);
      if (code !== 0) throw failure(name, code);
    };
  };
  const inThread = (name: string, args: string[]) => {
    const f = lib.func(name, "int", args);
    return (...given: unknown[]): Promise<void> =>
      new Promise((resolve, reject) => {
        f.async(...given, (error: Error | null, code: number) => {
          if (error) reject(error);
          else if (code === 0) resolve();
          else reject(failure(name, code));
        });
      });
  };
  /** Memory that the library reads and writes until a call is done: it must not be collected before. */
  const underWay = new Set<readonly unknown[]>();
  const test = inThread("MPI_Test", ["void *", "void *", "void *"]);
  /**
   * A collective call, started and then looked at from time to time. A call that waits would keep a core busy until the slowest rank comes, and
   * several ranks on one CPU would take it from the rank that they wait for.
   */
  const waiting = (name: string, args: string[]) => {
    const start = now(name, [...args, "void *"]);
    return async (...given: unknown[]): Promise<void> => {
      const [request, done, status] = [new BigInt64Array(1), new Int32Array(1), new BigInt64Array(8)];
      underWay.add(given);
      start(...given, request);
      const begin = performance.now();
      for (;;) {
        await test(request, done, status);
        if (done[0]) break;
        if (performance.now() - begin > AT_ONCE) await sleep(PAUSE);
      }
      underWay.delete(given);
    };
  };
  const init = now("MPI_Init_thread", ["void *", "void *", "int", "void *"]);
  const [memory, handle] = ["void *", "int64"];
  return {
    ...CONSTANTS[abi](lib),
    initThread: (required, provided) => init(null, null, required, provided),
    finalize: now("MPI_Finalize", []),
    abort: now("MPI_Abort", [handle, "int"]),
    rank: now("MPI_Comm_rank", [handle, memory]),
    size: now("MPI_Comm_size", [handle, memory]),
    processorName: now("MPI_Get_processor_name", [memory, memory]),
    split: inThread("MPI_Comm_split", [handle, "int", "int", memory]),
    barrier: waiting("MPI_Ibarrier", [handle]),
    broadcast: waiting("MPI_Ibcast", [memory, "int", handle, "int", handle]),
    allGather: waiting("MPI_Iallgather", [memory, "int", handle, memory, "int", handle, handle]),
    allGatherV: waiting("MPI_Iallgatherv", [memory, "int", handle, memory, memory, memory, handle, handle]),
    allToAllV: waiting("MPI_Ialltoallv", [memory, memory, memory, handle, memory, memory, memory, handle, handle]),
    reduceLocal: inThread("MPI_Reduce_local", [memory, memory, "int", handle, handle]),
  };
}

const failure = (name: string, code: number): Error => new Error(`${name}: error ${code}`);
