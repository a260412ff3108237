import { GpugradError } from "@gpugrad/tensor";
import type { Communicator, ReduceOp } from "./communicator.ts";
import { sumHalves } from "./halves.ts";

/** What the ranks have brought to a call. */
interface Meeting {
  given: unknown[];
  missing: number;
  done: Promise<unknown[]>;
  resolve: (given: unknown[]) => void;
  reject: (error: Error) => void;
}

/** Ranks within one process, for tests: what is done with each of them has to run at the same time. */
export function loopback(size: number): Communicator[] {
  const hosts = new Array<string>(size).fill("localhost");
  const meetings = new Map<number, Meeting>();
  const groups = new Map<string, Communicator[]>();
  let aborted: Error | undefined;
  /** The values that all ranks give at their `call`th call. */
  const meet = (rank: number, call: number, value: unknown): Promise<unknown[]> => {
    if (aborted) return Promise.reject(aborted);
    const meeting = meetings.get(call) ?? newMeeting(size);
    meetings.set(call, meeting);
    meeting.given[rank] = structuredClone(value);
    if (--meeting.missing === 0) {
      meetings.delete(call);
      meeting.resolve(meeting.given);
    }
    return meeting.done;
  };
  const abort = (rank: number, code: number): void => {
    aborted ??= new GpugradError(`rank ${rank} has ended the run with code ${code}.`);
    for (const meeting of meetings.values()) meeting.reject(aborted);
  };
  const member = (rank: number): Communicator => {
    let calls = 0;
    const allGather = async <T>(value: T): Promise<T[]> => structuredClone(await meet(rank, calls++, value)) as T[];
    return {
      ...{ rank, size, hosts, allGather, isOneProcess: true },
      barrier: async () => void (await allGather(null)),
      broadcast: async (value, root = 0) => (await allGather(value))[root]!,
      allReduce: async (values, op = "sum") => values.set(reduced(await allGather(values), op)),
      async split(color) {
        const key = `${calls} ${color}`;
        const colors = await allGather(color);
        const ranks = colors.flatMap((other, i) => (other === color ? [i] : []));
        const group = groups.get(key) ?? loopback(ranks.length);
        groups.set(key, group);
        return group[ranks.indexOf(rank)]!;
      },
      abort: (code) => abort(rank, code),
    };
  };
  return hosts.map((_, rank) => member(rank));
}

function newMeeting(size: number): Meeting {
  let [resolve, reject]: [Meeting["resolve"], Meeting["reject"]] = [() => undefined, () => undefined];
  const done = new Promise<unknown[]>((...both) => ([resolve, reject] = both));
  done.catch(() => undefined); // whoever meets awaits it
  return { given: [], missing: size, done, resolve, reject };
}

function reduced(all: readonly (Float32Array | Uint16Array)[], op: ReduceOp): Float32Array | Uint16Array {
  if (all[0] instanceof Uint16Array) return sumHalves(all as Uint16Array[]);
  const [first, ...others] = all as Float32Array[];
  for (const other of others)
    other.forEach((value, i) => (first![i] = op === "sum" ? first![i]! + value : Math.max(first![i]!, value)));
  return first!;
}
