import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { Command } from "commander";
import { writeError } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { wholeNumber } from "../text/texts.ts";

interface Options {
  ranks: number;
  restarts: number;
  mpirun: string;
}

/** What is kept of what the ranks say, to find out which of them has ended. */
const LAST_TEXT = 8192;

/** `gpugrad launch`: `mpirun` for any command of gpugrad, which starts again when a rank has died. */
export function launch(args: string[]): Promise<number> {
  const command = new Command("gpugrad launch")
    .description(
      "Starts a command in several ranks by mpirun, such as: gpugrad launch --ranks 4 --restarts 2 train --model …. " +
        "When a rank dies, the ranks that are left continue from the newest checkpoint.",
    )
    .requiredOption("-n, --ranks <n>", "how many ranks: one for each GPU", wholeNumber(1))
    .option("--restarts <n>", "how often to start again", wholeNumber(0), 0)
    .option("--mpirun <command>", "the launcher, with options of its own: 'mpirun --hostfile hosts'", "mpirun")
    .argument("<command...>", "the command and its options")
    .passThroughOptions();
  return runCommand<Options>(command, args, async (options, words) => supervise(options, words));
}

async function supervise({ ranks, restarts, mpirun }: Options, words: readonly string[]): Promise<number> {
  const launcher = mpirun.trim().split(/\s+/);
  const isOpenMpi = /open ?mpi|open-?rte|prrte/i.test(String(spawnSync(launcher[0]!, ["--version"]).stdout));
  let [left, command] = [ranks, words];
  for (let restart = 0; ; restart++) {
    const { code, last, stopped, problem } = await start([...launcher, "-np", String(left)], command, isOpenMpi);
    if (problem !== undefined) {
      writeError(
        `gpugrad launch: ${launcher[0]} can't be started: ${problem}. apt-get install openmpi-bin libopenmpi3\n`,
      );
      return 1;
    }
    if (code === 0 || stopped) return code;
    writeError(`gpugrad launch: ${deathIn(last) ?? `mpirun has ended with code ${code}`}.\n`);
    if (restart === restarts) return code;
    left = Math.max(1, left - 1);
    command = continued(words);
    writeError(
      `gpugrad launch: restart ${restart + 1} of ${restarts}, with ${left} rank(s), from the newest checkpoint.\n`,
    );
  }
}

/** The same command, from the newest checkpoint on. */
function continued(words: readonly string[]): string[] {
  const kept = words.filter((word) => !/^--overwrite[-_]output[-_]dir$/.test(word));
  return [...kept, "--resume_from_checkpoint", "auto"];
}

interface Ended {
  code: number;
  /** The last that was written to standard error. */
  last: string;
  /** Whether it was asked to end. */
  stopped: boolean;
  /** Why it couldn't be started. */
  problem?: string;
}

function start(launcher: readonly string[], words: readonly string[], isOpenMpi: boolean): Promise<Ended> {
  const program = [process.execPath, ...process.execArgv, process.argv[1]!, ...words];
  const child = spawn(launcher[0]!, [...launcher.slice(1), ...program], {
    stdio: ["inherit", "inherit", "pipe"],
    env: {
      ...process.env,
      ...(isOpenMpi && {
        OMPI_MCA_rmaps_base_oversubscribe: "1",
        PRTE_MCA_rmaps_default_mapping_policy: ":oversubscribe",
      }),
      ...(process.getuid?.() === 0 && { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" }), // as in containers
    },
  });
  let [last, stopped] = ["", false];
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    process.stderr.write(text);
    last = (last + text).slice(-LAST_TEXT);
  });
  // mpirun passes this one on, where it would answer the others by killing the ranks before they have saved.
  const stop = (): void => void ((stopped = true), child.kill("SIGUSR2"));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, stop);
  return new Promise((resolve) => {
    const end = (code: number, problem?: string): void => {
      for (const signal of signals) process.off(signal, stop);
      resolve({ code, last, stopped, ...(problem !== undefined && { problem }) });
    };
    child.on("error", (error) => end(1, error.message));
    child.on("close", (code, signal) => end(code ?? 128 + constants.signals[signal!]));
  });
}

/** Which rank has ended, and how, in the words of Open MPI and of MPICH's Hydra. */
export function deathIn(text: string): string | undefined {
  const open = /process rank (\d+) with PID \d+ on node (\S+) exited on\s+signal (\d+ \([^)]*\)|\d+)/.exec(text);
  if (open) return `rank ${open[1]} on ${open[2]} was ended by signal ${open[3]}`;
  const hydra = /PID (\d+) RUNNING AT (\S+)\s*=\s*EXIT CODE: (\d+)/.exec(text);
  return hydra ? `process ${hydra[1]} on ${hydra[2]} ended with code ${hydra[3]}` : undefined;
}
