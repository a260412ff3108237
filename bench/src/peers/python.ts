import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Milliseconds of a run: of wall clock, and of processor time, which a busy machine disturbs less. */
export type Times = readonly [wall: number, cpu: number];

/** Times `work`. */
export async function timed(work: () => Promise<unknown>): Promise<Times> {
  const [start, used] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(used);
  return [performance.now() - start, (user + system) / 1000];
}

/** The least of both. */
export const least = ([wall, cpu]: Times, [otherWall, otherCpu]: Times): Times => [
  Math.min(wall, otherWall),
  Math.min(cpu, otherCpu),
];

/** Libraries in a Python process: it names them in its first line, and answers each line that names one with the times of a run. */
export interface PythonPeers {
  readonly names: readonly string[];
  readonly run: (name: string, ...options: (string | number)[]) => Promise<Times>;
  readonly end: () => void;
}

export async function openPython(command: string, ...args: string[]): Promise<PythonPeers> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = (await lines.next()) as IteratorResult<string, undefined>;
    if (done) throw new Error(`${[command, ...args].join(" ")} ended: see above.`);
    return value;
  };
  const names = (await next()).split(" ");
  return {
    names,
    async run(...line) {
      child.stdin.write(`${line.join(" ")}\n`);
      const [wall, cpu] = (await next()).split(" ").map(Number);
      return [wall!, cpu!];
    },
    end: () => child.stdin.end(),
  };
}
