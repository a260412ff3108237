import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { GpugradError, type AdapterInfo } from "@gpugrad/tensor";
import {
  latestCheckpoint,
  launcher,
  localRank,
  Ranks,
  RankTimeoutError,
  SharedError,
  type Communicator,
} from "@gpugrad/train";
import { writeError } from "../output.ts";
import { chooseCard, openDevices, sharedCards } from "./gpus.ts";
import { StoppedError } from "../stop-signal.ts";

/** Long enough for others to say what they know before all are ended. */
const LAST_WORDS_MS = 1000;

/** The ranks that a launcher has started, of which this process is one; a process that was started alone is the first of one. */
export interface RankSession {
  /** Undefined where it is alone. */
  communicator?: Communicator;
  ranks: Ranks;
  /** Whether it is the one that prints and writes. */
  isFirst: boolean;
  /** Does work on one rank of each machine, then on the others: what it fetches or makes is then there. */
  inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** What is wrong with how the ranks are spread over GPUs, once they have one. */
  problems(adapter: AdapterInfo): Promise<string[]>;
  /** This rank has done its work, as the others do: it leaves them at the end of the process. One that hasn't ends all of them. */
  done: () => void;
  /** Ends all ranks, since this one can't continue; says why, unless another one does. Nothing where it is alone. */
  fail(error: unknown, outputDir: string | null): Promise<void>;
}

let session: Promise<RankSession> | undefined;

/** Joins the ranks that `mpirun` or its like has started: once in a process, until its end. */
export const joinRanks = (): Promise<RankSession> => (session ??= start());

async function start(): Promise<RankSession> {
  const launched = launcher(process.env);
  if (!launched) {
    const inTurn = <T>(work: () => Promise<T>): Promise<T> => work();
    return {
      ranks: new Ranks(undefined, 1),
      isFirst: true,
      inTurn,
      fail: () => Promise.resolve(),
      done: () => undefined,
      problems: () => Promise.resolve([]),
    };
  }
  const { joinMpi } = await import("@gpugrad/mpi").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new GpugradError(
      `gpugrad: this is rank ${launched.rank} of ${launched.size}, and ranks need the package @gpugrad/mpi: npm install @gpugrad/mpi.`,
    );
  });
  const mpi = await joinMpi();
  const ranks = new Ranks(mpi, 600);
  let isDone = false;
  process.once("beforeExit", () => void (isDone ? mpi.close() : mpi.abort(1)));
  await ranks.agree({ "the code (a hash)": codeDigest() });
  const place = localRank(mpi.hosts, mpi.rank);
  const isFirstHere = place === 0;
  chooseCard(place);
  return {
    ...{ communicator: mpi, ranks, isFirst: ranks.isFirst },
    done: () => void (isDone = true),
    async inTurn(work) {
      const early = isFirstHere ? await work() : undefined;
      await mpi.barrier();
      return isFirstHere ? early! : work();
    },
    async problems({ description, cpu }) {
      const own = { host: mpi.hosts[mpi.rank]!, description, cpu, files: openDevices() };
      return sharedCards(await ranks.allGather("comparing adapters", own));
    },
    async fail(error, outputDir) {
      // Rank 0 says what all have found, and a signal comes to all.
      const isKnown = !ranks.isFirst && (error instanceof SharedError || error instanceof StoppedError);
      const message = error instanceof Error ? error.message : String(error);
      if (!isKnown)
        writeError(`${ranks.isFirst ? "" : `${ranks.name()}: ${message}\n`}${await howToContinue(outputDir)}`);
      if (isKnown || error instanceof RankTimeoutError) await sleep(LAST_WORDS_MS);
      mpi.abort(1);
      await sleep(10 * LAST_WORDS_MS);
    },
  };
}

/** The checkpoint that a run which ended early can continue from, in words. */
async function howToContinue(outputDir: string | null): Promise<string> {
  const latest =
    outputDir === null ? undefined : await latestCheckpoint(outputDir, () => undefined).catch(() => undefined);
  return latest
    ? `Continue from ${latest.path}: --resume_from_checkpoint auto\n`
    : "There is no checkpoint to continue from.\n";
}

/** The packages that compute. */
const PACKAGES = ["tensor", "autograd", "nn", "bert", "train"].map((name) => `@gpugrad/${name}`);

/** A hash of the program's own files: ranks of different versions would compute different things. */
function codeDigest(): string {
  const hash = createHash("sha256");
  for (const name of [...PACKAGES, "gpugrad"]) {
    const folder = dirname(fileURLToPath(import.meta.resolve(name)));
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(js|ts|wgsl)$/.test(entry.name) && !entry.name.endsWith(".test.ts"))
      .map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) hash.update(readFileSync(file));
  }
  return hash.digest("hex").slice(0, 16);
}
