/** How the elements of several ranks become one. */
export type ReduceOp = "sum" | "max";

/**
 * The processes that train together, seen from one of them: its rank. Calls are collective: every rank makes the same ones in the same
 * order, and each waits for the others, off the event loop. `@gpugrad/mpi` has them over MPI; {@link loopback} within one process, for tests.
 */
export interface Communicator {
  /** This one's number, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** The names of the machines, by rank. */
  readonly hosts: readonly string[];
  /** Whether all ranks are in one process: then their updates aren't recorded, for the recordings of a device share their memory. */
  readonly isOneProcess?: boolean;
  /** Waits until all are here. */
  barrier(): Promise<void>;
  /** The value that rank `root` (0) gives; what the others give is ignored. It may be all that `structuredClone` takes. */
  broadcast<T>(value: T, root?: number): Promise<T>;
  /** The values of all ranks, by rank. */
  allGather<T>(value: T): Promise<T[]>;
  /**
   * Replaces the elements, in place, by their sum or maximum over all ranks. It is made in the order of ranks, so it is the same from run to
   * run and on every rank. The bits of f16 numbers (`Uint16Array`) are added in f32.
   */
  allReduce(values: Float32Array | Uint16Array, op?: ReduceOp): Promise<void>;
  /** The ranks that give the same color, in the order of ranks. */
  split(color: number): Promise<Communicator>;
  /** Ends all ranks at once, for this one can't continue. */
  abort(code: number): void;
}

/** Where elements `part` of `parts` lie among `length`: contiguous, and even to one. */
export function partOf(length: number, part: number, parts: number): [begin: number, end: number] {
  return [Math.floor((length * part) / parts), Math.floor((length * (part + 1)) / parts)];
}

/** Ranks on the same machine as rank `rank` that come before it: which of its GPUs to take. */
export const localRank = (hosts: readonly string[], rank: number): number =>
  hosts.slice(0, rank).filter((host) => host === hosts[rank]).length;
