/** Memory of a simulated workgroup: a table of numbers whose rows begin `pitch` elements apart. */
export interface Memory {
  readonly name: string;
  /** A buffer, memory of the workgroup, or registers, of which each invocation has its own. */
  readonly space: "storage" | "workgroup" | "registers";
  readonly rows: number;
  readonly cols: number;
  readonly pitch: number;
  readonly data: Float64Array;
}

export const memory = (
  name: string,
  space: Memory["space"],
  rows: number,
  cols: number,
  { pitch = cols, from }: { pitch?: number; from?: ArrayLike<number> } = {},
): Memory => ({ name, space, rows, cols, pitch, data: Float64Array.from(from ?? new Float64Array(rows * pitch)) });

/** What an invocation asks for next. `at` is a piece of the line of WGSL that does it; `piece#1` the second line that has it. */
export type Request =
  | { kind: "read"; at: string; memory: string; index: number; count: number }
  | { kind: "write"; at: string; memory: string; index: number; value: number }
  | { kind: "set"; memory: string; index: number; value: number } // of a register: takes no step of its own
  | { kind: "barrier"; at: string };

/** One run of a kernel's `main`: it yields what it asks for and is given what it reads. */
export type Invocation = Generator<Request, void, number[]>;

export const read = (at: string, memory: string, index: number, count = 1): Request => ({
  ...{ kind: "read", at, memory, index, count },
});
export const write = (at: string, memory: string, index: number, value: number): Request => ({
  ...{ kind: "write", at, memory, index, value },
});
export const set = (memory: string, index: number, value: number): Request => ({ kind: "set", memory, index, value });
export const barrier = (at: string): Request => ({ kind: "barrier", at });

export interface Access {
  lane: number;
  index: number;
  value: number;
}

/** One instruction of a subgroup, whose lanes run in lockstep, or a barrier that all invocations have reached. */
export interface Step {
  kind: "read" | "write" | "barrier";
  at: string;
  /** Empty for a barrier. */
  memory: string;
  lanes: number[];
  accesses: Access[];
  /** Registers that changed with it. */
  registers: (Access & { memory: string })[];
}

/** More than any of the kernels here takes: an endless loop is an error. */
const MAX_STEPS = 20_000;

/**
 * Runs a workgroup. One subgroup after the other runs until all of its lanes wait at a barrier; when all invocations wait, all pass. A barrier
 * that isn't there lets the first subgroup run ahead. Hardware may take any order; this one is the same every time.
 */
export function simulate(memories: readonly Memory[], invocations: readonly Invocation[], subgroup: number): Step[] {
  const byName = new Map(memories.map((m) => [m.name, m]));
  const steps: Step[] = [];
  const lanes = invocations.map((run, lane) => ({ run, lane, done: 0, next: undefined as Request | undefined }));
  type Lane = (typeof lanes)[number];

  /** Takes the invocation to its next access or barrier, by way of registers that are set. */
  const advance = (it: Lane, given: number[], step?: Step): void => {
    for (let result = it.run.next(given); ; result = it.run.next([])) {
      if (result.done) return void (it.next = undefined);
      if (result.value.kind !== "set") return void (it.next = result.value);
      const { memory, index, value } = result.value;
      byName.get(memory)!.data[index] = value;
      step?.registers.push({ memory, lane: it.lane, index, value });
    }
  };
  for (const it of lanes) advance(it, []);

  while (lanes.some(({ next }) => next)) {
    for (let first = 0; first < lanes.length; first += subgroup) {
      const members = lanes.slice(first, first + subgroup);
      for (;;) {
        const ready = members.filter(({ next }) => next && next.kind !== "barrier");
        if (ready.length === 0) break;
        const leader = ready.reduce((a, b) => (b.done < a.done ? b : a)); // those left behind at a branch come first
        const { kind, at, memory } = leader.next as Exclude<Request, { kind: "barrier" | "set" }>;
        const together = ready.filter(
          ({ next, done }) =>
            done === leader.done &&
            next!.kind === kind &&
            (next as { at: string }).at === at &&
            "memory" in next! &&
            next.memory === memory,
        );
        const { data } = byName.get(memory)!;
        const step: Step = { kind, at, memory, lanes: together.map(({ lane }) => lane), accesses: [], registers: [] };
        const given = together.map(({ lane, next }) => {
          if (next!.kind === "write") {
            data[next!.index] = next!.value;
            step.accesses.push({ lane, index: next!.index, value: next!.value });
            return [];
          }
          const { index, count } = next as { index: number; count: number };
          const values = Array.from(data.subarray(index, index + count));
          values.forEach((value, i) => step.accesses.push({ lane, index: index + i, value }));
          return values;
        });
        together.forEach((it, i) => {
          it.done++;
          advance(it, given[i]!, step);
        });
        steps.push(step);
        if (steps.length > MAX_STEPS) throw new Error(`The simulated workgroup takes more than ${MAX_STEPS} steps.`);
      }
    }
    const waiting = lanes.filter(({ next }) => next);
    if (waiting.length === 0) break;
    const step: Step = { kind: "barrier", at: (waiting[0]!.next as { at: string }).at, memory: "", lanes: waiting.map(({ lane }) => lane), accesses: [], registers: [] }; // prettier-ignore
    steps.push(step);
    for (const it of waiting) {
      it.done++;
      advance(it, [], step);
    }
  }
  return steps;
}

/** What a subgroup's read or write costs: lines of memory for a buffer, turns for banks of workgroup memory. */
export function costOf(step: Step, space: Memory["space"], { line, banks }: { line: number; banks: number }) {
  const places = new Set(step.accesses.map(({ index }) => index));
  const lines = new Set([...places].map((index) => Math.floor(index / line)));
  const perBank = new Map<number, number>();
  for (const index of places) perBank.set(index % banks, (perBank.get(index % banks) ?? 0) + 1);
  return {
    elements: places.size,
    lines: space === "storage" ? lines : new Set<number>(),
    used: space === "storage" ? places.size / (lines.size * line) : 1,
    turns: space === "workgroup" ? Math.max(1, ...perBank.values()) : 1,
  };
}
