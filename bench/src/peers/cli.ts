// pnpm bench:peers: the same cases by other libraries, beside ours, in one run.
import { fork, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { toRegExp } from "../options.ts";
import { peerCases } from "./cases.ts";
import { peers, type Answer, type Request } from "./peer.ts";
import { report, type PeerRow } from "./report.ts";

const TIMEOUT_MS = 180_000;

interface Options {
  only?: RegExp;
  peers?: RegExp;
  rounds: number;
  json?: string;
  markdown?: true;
}

const toCount = (text: string): number => {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("It has to be a whole number of at least 1.");
  return Number(text);
};

const program = new Command("bench:peers")
  .description(
    "Times jax-js, TensorFlow.js and ONNX Runtime on our cases, in turn with ours; a wrong result has no time.",
  )
  .option("--only <regex>", "cases whose name matches", toRegExp)
  .option("--peers <regex>", "libraries whose label matches", toRegExp)
  .option("--rounds <n>", "how often everything is timed, each library after the other", toCount, 2)
  .option("--markdown", "a table for a page")
  .option("--json <file>", "write the rows there as JSON as well")
  .addHelpText(
    "after",
    `\nCases: ${peerCases.map((c) => c.name).join(", ")}\nLibraries: ${peers.map((p) => p.label).join(", ")}`,
  )
  .exitOverride();

const note = (text: string): void => void process.stderr.write(`bench:peers: ${text}\n`);

/** Installs the libraries beside their package.json when they are missing. They are not part of the workspace: 700 MB that few need. */
function ensureInstalled(): void {
  const folder = fileURLToPath(new URL("../../peers", import.meta.url));
  const installed = join(folder, "node_modules", ".modules.yaml");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(folder, "pnpm-lock.yaml")).mtimeMs) return;
  note("installing the other libraries (once; 700 MB) …");
  const pnpm = process.env["npm_execpath"]?.includes("pnpm")
    ? [process.execPath, process.env["npm_execpath"]]
    : ["npx", "-y", "pnpm@10"];
  const [command, ...args] = [...pnpm, "install", "--ignore-workspace", "--frozen-lockfile", "--prefer-offline"];
  const { status } = spawnSync(command, args, { cwd: folder, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("pnpm install failed in bench/peers: see above.");
}

/** A process with a peer in it. One that fails or hangs is ended, and answers no more. */
class Worker {
  readonly label: string;
  readonly webgpu: boolean;
  version = "";
  #process: ChildProcess;
  #failure: string | undefined;
  #last = "";

  constructor({ label, module, backend, webgpu }: (typeof peers)[number]) {
    this.label = label;
    this.webgpu = webgpu;
    const args = [module, backend];
    this.#process = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), args, { silent: true });
    this.#process.stderr!.on("data", (data: Buffer) => (this.#last = data.toString().trim().split("\n").at(-1)!));
  }

  async start(): Promise<void> {
    const hello = await this.#message<{ version: string } & Answer>();
    this.version = hello.version ?? "";
  }

  async measure(request: Request): Promise<Answer> {
    if (this.#failure) return { error: this.#failure };
    this.#process.send(request);
    return this.#message();
  }

  stop(): void {
    this.#process.kill("SIGKILL");
  }

  #message<T extends Answer>(): Promise<T> {
    return new Promise((resolve) => {
      const fail = (why: string): void => {
        this.#failure = why;
        this.stop();
        settle({ error: why });
      };
      const onExit = (): void => fail(`its process ended: ${this.#last}`);
      const timer = setTimeout(() => fail(`no answer in ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS);
      const settle = (message: unknown): void => {
        clearTimeout(timer);
        this.#process.off("exit", onExit).off("message", settle);
        resolve(message as T);
      };
      this.#process.once("exit", onExit).once("message", settle);
    });
  }
}

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1]!;

async function compare({ only, peers: which, rounds, json, markdown }: Options): Promise<number> {
  const cases = peerCases.filter(({ name }) => !only || only.test(name));
  const chosen = peers.filter(({ label }) => !which || which.test(label));
  if (cases.length === 0 || chosen.length === 0) program.error("error: no case or no library matches; see --help.");
  ensureInstalled();
  const [load = 0] = loadavg();
  if (load > cpus().length / 4) note(`other programs are at work here (load ${load.toFixed(1)}): expect longer times.`);

  const rows = new Map<string, PeerRow>();
  const workers: Worker[] = [];
  try {
    for (const peer of chosen) {
      const worker = new Worker(peer);
      workers.push(worker);
      await worker.start();
      note(`${worker.label} ${worker.version}`);
    }
    for (let round = 1; round <= rounds; round++) {
      for (const { name } of cases) {
        for (const worker of workers) {
          const { label, version, webgpu } = worker;
          const key = `${name} ${label}`;
          const row: PeerRow = rows.get(key) ?? { case: name, peer: label, version, webgpu, ms: null, first_ms: null };
          rows.set(key, row);
          if (row.error !== undefined || row.missing) continue;
          const { samples, firstMs, missing, error } = await worker.measure({ case: name });
          if (firstMs !== undefined) row.first_ms = firstMs;
          if (samples) row.ms = Math.min(row.ms ?? Infinity, median(samples));
          if (missing) row.missing = true;
          if (error !== undefined) Object.assign(row, { error, ms: null });
          note(
            `round ${round}, ${name}, ${label}: ${error ?? (missing ? "can't" : `${median(samples!).toFixed(2)} ms`)}`,
          );
        }
      }
    }
  } finally {
    for (const worker of workers) worker.stop();
  }
  const list = [...rows.values()];
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(list, null, 1)}\n`);
  process.stdout.write(report(list, { markdown: markdown === true }));
  return list.some(({ peer, error }) => peer === "gpugrad" && error !== undefined) ? 1 : 0;
}

try {
  program.parse();
  process.exitCode = await compare(program.opts<Options>());
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    note(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
