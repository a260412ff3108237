// Fuzzes one target in a process of its own, which the command line can end when a run does not return, and which may run out of memory.
import { openSync, writeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { splitMix64 } from "../packages/train/src/random.ts";
import { corpusOf } from "./corpus.ts";
import { minimize } from "./minimize.ts";
import { mutate } from "./mutate.ts";
import { outcomeOf, type Failure } from "./outcome.ts";
import { targets } from "./targets/index.ts";

export interface Job {
  target: string;
  seed: number;
  seconds: number;
  runs: number;
  /** The number of the first run: those before it were made by a process that was ended. */
  first: number;
  /** A file for the input of the run under way: its run's number and its length (u32), then its bytes. */
  current: string;
}

export type Message =
  | { type: "failure"; failure: Failure; input: string }
  /** `growth`: bytes of the heap and of buffers after collection, at the end less those after the first runs. */
  | { type: "done"; runs: number; refused: number; growth: number };

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const { target: name, seed, seconds, runs, first, current } = JSON.parse(process.argv[2]!) as Job;
const send = (message: Message) => new Promise((sent) => process.send!(message, sent));
const target = targets.find((known) => known.name === name)!;
const currentFile = openSync(current, "w");

const bytes = (input: string | Uint8Array) => (typeof input === "string" ? new TextEncoder().encode(input) : input);
const starts = [...target.seeds.map(bytes), ...corpusOf(name).map(({ input }) => input)];

let refused = 0;
const counting = {
  ...target,
  read: async (input: Uint8Array) => {
    try {
      return await target.read(input);
    } catch (error) {
      refused++;
      throw error;
    }
  },
};

function run(number: number, input: Uint8Array): Promise<Failure | undefined> {
  const header = new Uint8Array(Uint32Array.of(number, input.length).buffer);
  writeSync(currentFile, Buffer.concat([header, input]), 0, undefined, 0);
  return outcomeOf(counting, input);
}

function memory(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const known = new Set<string>();
const end = performance.now() + 1000 * seconds;
const warm = first + Math.min(500, runs >> 1);
let before: number | undefined;
let number = first;
for (; number < runs && performance.now() < end; number++) {
  const random = splitMix64(seed, number + 1); // a run is the same whether or not those before it were made
  const input = mutate(random.pick(starts), random, target.dictionary, random.pick(starts));
  const failure = await run(number, input);
  if (failure && !known.has(failure.kind + failure.cause)) {
    known.add(failure.kind + failure.cause);
    const same = async (smaller: Uint8Array) => (await run(number, smaller))?.cause === failure.cause;
    const attempts = failure.kind === "error" || failure.kind === "rejection" ? 400 : 12;
    const smallest = await minimize(input, same, attempts);
    await send({ type: "failure", failure, input: Buffer.from(smallest).toString("base64") });
  }
  if (number === warm) before = memory();
}
const growth = before === undefined ? 0 : memory() - before;
await send({ type: "done", runs: number - first, refused, growth });
process.exit(0);
