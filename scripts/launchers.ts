import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const loaders = ["--import", "tsx", "--import", new URL("text-loader.mjs", import.meta.url).href];

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

/** Runs a program of the repository in several ranks. */
export const mpirun = ({ command, options }: TestLauncher, ranks: number, words: readonly string[]): Promise<Ended> =>
  ended(command, [...options, "-np", String(ranks), process.execPath, ...loaders, ...words]);

/** Runs a program of the repository. @param started is called with its process */
export const program = (words: readonly string[], started?: (pid: number) => void): Promise<Ended> =>
  ended(process.execPath, [...loaders, ...words], started);

function ended(command: string, words: readonly string[], started?: (pid: number) => void): Promise<Ended> {
  const child = spawn(command, words, {
    cwd: root,
    env: { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  started?.(child.pid!);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}
