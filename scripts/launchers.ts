import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
export const loaders = ["--import", "tsx", "--import", new URL("text-loader.mjs", import.meta.url).href];

/** A launcher that is installed here. */
export interface TestLauncher {
  name: "Open MPI" | "MPICH";
  command: string;
  options: readonly string[];
}

/** Those of Debian's two MPIs that are here; tests without one are skipped. */
export const launchers: TestLauncher[] = (
  [
    { name: "Open MPI", command: "mpirun.openmpi", options: ["--oversubscribe"] },
    { name: "MPICH", command: "mpirun.mpich", options: [] },
  ] as const
).filter(({ command }) => spawnSync(command, ["--version"]).status === 0);

/** What a program of several ranks has printed, and how it ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program of the repository in several ranks. @param started is called with the launcher's process */
export const mpirun = (
  { command, options }: TestLauncher,
  ranks: number,
  words: readonly string[],
  started?: (pid: number) => void,
): Promise<Ended> =>
  ended(command, [...options, "-np", String(ranks), process.execPath, ...loaders, ...words], started);

/** Runs a program of the repository. @param started is called with its process */
export const program = (words: readonly string[], started?: (pid: number) => void): Promise<Ended> =>
  ended(process.execPath, [...loaders, ...words], started);

/** How a program has ended. @param env variables beside this process' own */
export function ended(
  command: string,
  words: readonly string[],
  started?: (pid: number) => void,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(command, words, {
    cwd: root,
    env: { ...process.env, ...env, OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  started?.(child.pid!);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

/** A process of a launcher's, and which rank it is. */
export interface RankProcess {
  pid: number;
  rank: number;
}

/** The ranks that a launcher has started. */
export const ranksBelow = (launcherPid: number): RankProcess[] =>
  readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    const rank = pid > 0 ? rankOf(pid) : undefined;
    return rank !== undefined && isBelow(pid, launcherPid) ? [{ pid, rank }] : [];
  });

/** Which rank a Node process is; undefined where it is none, or has ended. */
function rankOf(pid: number): number | undefined {
  try {
    if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(process.execPath)) return undefined;
    const found = /(?:^|\0)(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"));
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process descends from another. */
function isBelow(pid: number, ancestor: number): boolean {
  try {
    const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))![1]);
    return parent === ancestor || (parent > 1 && isBelow(parent, ancestor));
  } catch {
    return false; // it has ended
  }
}
