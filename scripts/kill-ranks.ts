// node scripts/run.mjs scripts/kill-ranks.ts [--trials 20] [--seed 1] [--first 1]: random ranks of a training are killed at random moments, and the
// same command continues. Every run has to end soon, and to give the bytes of a run that nothing has disturbed. One line for each trial.
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { tinyRun } from "../packages/gpugrad/test/tiny-run.ts";
import { splitMix64 } from "../packages/train/src/random.ts";
import { launchers, mpirun, ranksBelow, type TestLauncher } from "./launchers.ts";

const CLI = "packages/gpugrad/src/cli.ts";

/** A rank that ends, and when: so many updates and milliseconds after all ranks have been started. */
export interface Kill {
  rank: number;
  updates: number;
  ms: number;
}

/** What came of a killed run. */
export interface Outcome {
  /** Whether the kill came before the run was over. */
  killed: boolean;
  /** Updates that had been made, and those of the newest checkpoint. */
  updates: number;
  checkpoint: number;
  /** Until the launcher and all ranks had ended, in seconds. */
  seconds: number;
  /** What the run gave in the end. */
  bytes: string;
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A training of a tiny model by several ranks, in a folder of its own. */
export class TinyTraining {
  readonly #dir = mkdtempSync(join(tmpdir(), "gpugrad-kills-"));
  readonly #updates: number;
  #options: readonly string[] | undefined;
  #runs = 0;

  constructor({ updates }: { updates: number }) {
    this.#updates = updates;
  }

  /** What a run gives: a hash of its losses and weights. @param kill what happens to it first */
  async run(launcher: TestLauncher, size: number, kill?: Kill): Promise<Outcome> {
    this.#options ??= await tinyRun(join(this.#dir, "model"));
    const name = join(this.#dir, `run-${++this.#runs}`);
    const trace = `${name}.jsonl`;
    const words = [
      ...[CLI, "train", ...this.#options, "--output_dir", name, "--loss_trace", trace],
      ...[
        "--max_steps",
        String(this.#updates),
        "--save_steps",
        "4",
        "--save_total_limit",
        "2",
        "--eval_strategy",
        "no",
      ],
      ...["--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "2"],
    ];
    const outcome = { killed: false, updates: 0, checkpoint: 0, seconds: 0 };
    if (kill) {
      let [at, below]: [number, number[]] = [0, []];
      const first = mpirun(launcher, size, words, (pid) => {
        const go = async (): Promise<void> => {
          const all = await allRanks(pid, size);
          while (linesOf(trace).length < kill.updates) await later(5);
          await later(kill.ms);
          const { pid: victim } = all.find(({ rank }) => rank === kill.rank)!;
          below = all.map((one) => one.pid);
          at = performance.now();
          process.kill(victim, "SIGKILL");
        };
        go().catch(() => undefined); // the run was over before
      });
      const { code } = await first;
      while (below.some(isAlive)) await later(20);
      outcome.seconds = (performance.now() - at) / 1000;
      outcome.killed = at > 0 && code !== 0;
      outcome.updates = linesOf(trace).length;
      outcome.checkpoint = Math.max(0, ...checkpointsOf(name));
    }
    const { code, stderr } = await mpirun(launcher, size, [
      ...words,
      ...(kill ? ["--resume_from_checkpoint", "auto"] : []),
    ]);
    if (code !== 0)
      throw new Error(`${launcher.name}, ${size} ranks, ${JSON.stringify(kill)}: code ${code}\n${stderr}`);
    const losses = linesOf(trace).map((line) => (JSON.parse(line) as { loss: number }).loss);
    const weights = readFileSync(join(name, "model.safetensors"));
    return { ...outcome, bytes: createHash("sha256").update(losses.join()).update(weights).digest("hex").slice(0, 12) };
  }

  dispose(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

async function allRanks(launcherPid: number, size: number) {
  for (;;) {
    const all = ranksBelow(launcherPid);
    if (all.length >= size) return all;
    await later(20);
  }
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter((line) => line.endsWith("}")); // prettier-ignore
  } catch {
    return []; // it isn't there yet
  }
}

const checkpointsOf = (folder: string): number[] => {
  try {
    return readdirSync(folder).flatMap((name) => (/^checkpoint-(\d+)$/.exec(name) ? [Number(name.slice(11))] : []));
  } catch {
    return [];
  }
};

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      trials: { type: "string", default: "20" },
      first: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
    },
  });
  const [UPDATES, MOST_SECONDS] = [24, 30];
  const training = new TinyTraining({ updates: UPDATES });
  const undisturbed = new Map<number, string>();
  let failures = 0;
  for (let trial = Number(values.first); trial < Number(values.first) + Number(values.trials); trial++) {
    const random = splitMix64(Number(values.seed), trial);
    const [launcher, size] = [random.pick(launchers), 2 + random.below(3)];
    // One in five dies while it starts.
    const updates = Math.max(0, random.below(UPDATES + 6) - 6);
    const kill: Kill = { rank: random.below(size), updates, ms: random.below(updates === 0 ? 5000 : 150) };
    if (!undisturbed.has(size)) undisturbed.set(size, (await training.run(launcher, size)).bytes);
    const { killed, seconds, bytes, ...how } = await training.run(launcher, size, kill);
    const same = bytes === undisturbed.get(size);
    if (!same || !(seconds < MOST_SECONDS)) failures++;
    const columns = [trial, launcher.name, `rank ${kill.rank} of ${size}`, killed ? how.updates : "over before", how.checkpoint, seconds.toFixed(1), same ? bytes : `${bytes}, not ${undisturbed.get(size)}`]; // prettier-ignore
    console.log(`| ${columns.join(" | ")} |`);
  }
  training.dispose();
  process.exitCode = failures > 0 ? 1 : 0;
}
