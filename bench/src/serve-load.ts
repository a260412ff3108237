/**
 * Latency and throughput of `gpugrad serve` under load, with dynamic batching and one by one:
 *
 *     node scripts/run.mjs bench/src/serve-load.ts MODEL --clients 1 16 --seconds 5 --rounds 3
 *
 * Each client sends one text, waits for the answer, and sends the next. The servers run all the time and are measured in turns, round
 * after round, so that what else the machine does hits them alike.
 */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { Command } from "commander";
import { makeModel, start, vocabulary, type Server } from "./served.ts";

const program = new Command("serve-load")
  .argument("[model]", "a folder or a hub id (default: two layers of random weights, 128 wide, made for the run)")
  .option("--clients <n...>", "requests under way at a time", ["1", "4", "16"])
  .option("--seconds <n>", "of each measurement", Number, 5)
  .option("--rounds <n>", "measurements of each server, before them one that does not count", Number, 3)
  .option("--words <n>", "of a text at most; each has 1 to this many", Number, 20)
  .parse();
const { clients, seconds, rounds, words } = program.opts<{
  clients: string[];
  seconds: number;
  rounds: number;
  words: number;
}>();

const settings: Record<string, string[]> = {
  "one by one": ["--max-batch-size", "1"],
  batched: [],
  "batched, no wait": ["--max-wait", "0"],
};

/** The same texts for every setting: words of IMDB's kind, in lengths that are all over the range. */
const textOf = (i: number): string =>
  Array.from({ length: 1 + ((i * 7919) % words) }, (_, k) => vocabulary[(i * 31 + k * 17) % vocabulary.length]).join(
    " ",
  );

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

/** Seconds until the answer is there. */
async function ask(url: string, text: string): Promise<number> {
  const begin = performance.now();
  const sent = request(`${url}/predict`, { agent, method: "POST", headers: { "content-type": "application/json" } });
  sent.end(JSON.stringify({ inputs: text }));
  const [response] = (await once(sent, "response")) as [NodeJS.ReadableStream & { statusCode: number }];
  response.resume();
  await once(response, "end");
  if (response.statusCode !== 200) throw new Error(`serve-load: status ${response.statusCode}`);
  return (performance.now() - begin) / 1000;
}

/** A number of clients for some seconds: the latencies of all requests that ended. */
async function load(url: string, count: number, forSeconds: number): Promise<number[]> {
  const until = performance.now() + 1000 * forSeconds;
  const latencies: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < until) latencies.push(await ask(url, textOf(next++)));
  };
  await Promise.all(Array.from({ length: count }, client));
  return latencies;
}

/** What the server has counted since it began: texts, batches, and seconds of processor time. */
async function counters(url: string): Promise<number[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const names = ["gpugrad_batch_size_sum", "gpugrad_batch_size_count", "process_cpu_seconds_total"];
  return names.map((name) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)![1]));
}

/** All measurements of one server with a number of clients. */
interface Seen {
  latencies: number[];
  seconds: number;
  counted: number[];
}

async function measure({ url }: Server, count: number, seen: Seen): Promise<void> {
  const before = await counters(url);
  const begin = performance.now();
  seen.latencies.push(...(await load(url, count, seconds)));
  seen.seconds += (performance.now() - begin) / 1000;
  const after = await counters(url);
  seen.counted = seen.counted.map((sum, i) => sum + after[i]! - before[i]!);
}

function row({ latencies, seconds, counted }: Seen): string[] {
  const sorted = latencies.toSorted((a, b) => a - b);
  const quantile = (q: number): string => (1000 * sorted[Math.floor(q * (sorted.length - 1))]!).toFixed(1);
  const [texts, batches, cpuSeconds] = counted as [number, number, number];
  return [
    (sorted.length / seconds).toFixed(1),
    quantile(0.5),
    quantile(0.99),
    (texts / batches).toFixed(1),
    ((1000 * cpuSeconds) / texts).toFixed(1),
  ];
}

const print = (cells: string[]): void => console.log(`| ${cells.join(" | ")} |`);

const made = await mkdtemp(`${tmpdir()}/serve-load-`);
const servers: (Server & { name: string })[] = [];
try {
  const [model = made] = program.args;
  if (model === made) await makeModel(made);
  for (const [name, args] of Object.entries(settings)) servers.push({ name, ...(await start(model, args)) });
  console.log(`${servers[0]!.device}\n`);
  print(["clients", "", "texts/s", "p50 ms", "p99 ms", "texts per batch", "CPU ms per text"]);
  print(["---:", "---", "---:", "---:", "---:", "---:", "---:"]);
  for (const count of clients.map(Number)) {
    const all = servers.map((server) => ({ server, seen: { latencies: [], seconds: 0, counted: [0, 0, 0] } }));
    for (const { server } of all) await load(server.url, count, 2);
    for (let round = 0; round < rounds; round++) for (const { server, seen } of all) await measure(server, count, seen);
    for (const { server, seen } of all) print([String(count), server.name, ...row(seen)]);
  }
} finally {
  agent.destroy();
  for (const server of servers) await server.stop();
  await rm(made, { recursive: true });
}
