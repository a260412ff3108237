import { fork } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { formatBytes, formatTable } from "@gpugrad/train";
import { wholeNumber } from "../packages/gpugrad/src/text/texts.ts";
import { addToCorpus } from "./corpus.ts";
import { targets } from "./targets/index.ts";
import type { Job, Message } from "./child.ts";

/** Seconds after which a run that does not return is ended; one that returns counts by its processor time. */
const END_SECONDS = 30;
/** Heap of a run, in megabytes: inputs have at most 64 KiB. */
const MAX_HEAP_MB = 2048;
/** Growth of memory over all runs of a target, in bytes, that counts as a leak. */
const MAX_LEAK = 32 << 20;

type Totals = { runs: number; refused: number; failures: string[]; growth: number };

async function main(): Promise<number> {
  const program = new Command("fuzz")
    .description(
      "Feeds every reader of something from outside with mutated inputs. What fails is minimized and kept in fuzz/corpus.",
    )
    .argument("[targets...]", `which readers; default all: ${targets.map(({ name }) => name).join(", ")}`)
    .option("--seconds <n>", "seconds for each target", wholeNumber(1), 10)
    .option("--runs <n>", "runs of each target at most", wholeNumber(1), Number.MAX_SAFE_INTEGER)
    .option("--seed <n>", "the same seed makes the same inputs", wholeNumber(1), 1)
    .parse();
  const { seconds, runs, seed } = program.opts<{ seconds: number; runs: number; seed: number }>();
  const names = program.args.length > 0 ? program.args : targets.map(({ name }) => name);
  for (const name of names) {
    if (!targets.some((target) => target.name === name)) {
      program.error(`fuzz: no target ${name}. There are ${targets.map((target) => target.name).join(", ")}.`);
    }
  }
  const rows: string[][] = [];
  const sum = { runs: 0, failures: 0 };
  for (const name of names) {
    const totals = await fuzz(name, { seconds, runs, seed });
    sum.runs += totals.runs;
    sum.failures += totals.failures.length;
    rows.push([name, String(totals.runs), String(totals.refused), String(totals.failures.length), formatBytes(Math.max(0, totals.growth))]); // prettier-ignore
    for (const failure of totals.failures) console.log(`FAILED ${name}: ${failure}`);
  }
  console.log(formatTable([["target", "runs", "refused", "failures", "growth"], ...rows]));
  console.log(`${sum.runs} runs, ${sum.failures} failures, seed ${seed}`);
  return sum.failures === 0 ? 0 : 1;
}

/** All runs of one target; where a process dies of a run, or is ended, another continues after it. */
async function fuzz(
  target: string,
  { seconds, runs, seed }: { seconds: number; runs: number; seed: number },
): Promise<Totals> {
  const totals: Totals = { runs: 0, refused: 0, failures: [], growth: 0 };
  const deadline = performance.now() + 1000 * seconds;
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-fuzz-"));
  try {
    for (let first = 0; first < runs && performance.now() < deadline;) {
      const job = {
        target,
        seed,
        seconds: (deadline - performance.now()) / 1000,
        runs,
        first,
        current: join(folder, "current"),
      };
      const next = await runProcess(job, totals);
      if (next === undefined) break;
      totals.runs += next - first;
      first = next;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (totals.growth > MAX_LEAK) totals.failures.push(`memory grew by ${formatBytes(totals.growth)} over all runs`);
  return totals;
}

/** One process, to its end. @returns the number of the run to continue with, where it did not end well */
function runProcess(job: Job, totals: Totals): Promise<number | undefined> {
  return new Promise((resolve) => {
    const child = fork(new URL("child.ts", import.meta.url), [JSON.stringify(job)], {
      execArgv: [...process.execArgv, `--max-old-space-size=${MAX_HEAP_MB}`],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let stderr = "";
    child.stderr!.on("data", (piece: Buffer) => (stderr = (stderr + piece.toString()).slice(-5000)));
    const current = () => {
      const bytes = existsSync(job.current) ? readFileSync(job.current) : Buffer.alloc(0);
      if (bytes.length < 8) return undefined;
      return { number: bytes.readUInt32LE(0), input: Uint8Array.from(bytes.subarray(8, 8 + bytes.readUInt32LE(4))) };
    };
    const keep = (kind: string, message: string, input: Uint8Array) =>
      totals.failures.push(`${message}: ${addToCorpus(job.target, kind, input)}`);
    let isDone = false;
    let isEnded = false;
    let last: string | undefined;
    let since = performance.now();
    const watch = setInterval(() => {
      const run = current();
      const now = run && `${run.number} ${run.input.length}`;
      if (now !== last) [last, since] = [now, performance.now()];
      else if (now !== undefined && performance.now() - since > 1000 * END_SECONDS) isEnded = child.kill("SIGKILL");
    }, 500);
    child.on("message", (message: Message) => {
      if (message.type === "failure") {
        keep(message.failure.kind, message.failure.message, Buffer.from(message.input, "base64"));
        return;
      }
      isDone = true;
      totals.runs += message.runs;
      totals.refused += message.refused;
      totals.growth += message.growth;
    });
    child.on("exit", (code, signal) => {
      clearInterval(watch);
      if (isDone) return resolve(undefined);
      const run = current();
      if (isEnded) keep("hang", `does not return within ${END_SECONDS} s`, run!.input);
      else if (run && stderr.includes("heap out of memory")) keep("memory", "runs out of memory", run.input);
      else if (run) keep("crash", `ends the process (${signal ?? code}): ${stderr.trim().slice(0, 300)}`, run.input);
      else totals.failures.push(`does not start: ${stderr}`);
      resolve(run && run.number + 1);
    });
  });
}

process.exitCode = await main();
