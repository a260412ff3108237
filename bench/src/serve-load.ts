/**
 * Latency and throughput of `gpugrad serve` under load, with dynamic batching and one by one:
 *
 *     node scripts/run.mjs bench/src/serve-load.ts MODEL --clients 1 4 16 --seconds 10 --words 20
 *
 * Each client sends one text, waits for the answer, and sends the next. Both servers run all the time; they are measured in turns.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { Command } from "commander";

const program = new Command("serve-load")
  .argument("<model>", "a folder or a hub id")
  .option("--clients <n...>", "requests under way at a time", ["1", "4", "16"])
  .option("--seconds <n>", "of each measurement, after one that does not count", Number, 10)
  .option("--words <n>", "of a text at most; each has 1 to so many", Number, 20)
  .parse();
const { clients, seconds, words } = program.opts<{ clients: string[]; seconds: number; words: number }>();
const model = program.args[0]!;

const settings: Record<string, string[]> = {
  "one by one": ["--max-batch-size", "1"],
  batched: [],
  "batched, no wait": ["--max-wait", "0"],
};

/** A server of its own, and where it listens. */
async function start(args: string[]) {
  const run = ["scripts/run.mjs", "packages/gpugrad/src/cli.ts", "serve", model, "--port", "0", ...args];
  const child = spawn(process.execPath, run, { stdio: ["ignore", "pipe", "ignore"] });
  let out = "";
  while (!/http:\S+/.test(out)) out += String((await once(child.stdout, "data"))[0]);
  const url = /http:\S+/.exec(out)![0];
  return { url, stop: () => (child.kill("SIGTERM"), once(child, "close")) };
}

/** The same texts for every setting: words of IMDB's kind, in lengths that are all over the range. */
const vocabulary =
  "a the film is was slow fine acting plot story of and very bad good with end start long boring".split(" ");
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

/** So many clients for some seconds: the latencies of all requests that ended. */
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

/** Texts per batch since the server began. */
async function batchSums(url: string): Promise<[sum: number, count: number]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string): number => Number(new RegExp(`^gpugrad_batch_size_${name} (\\S+)`, "m").exec(text)![1]);
  return [value("sum"), value("count")];
}

const servers = Object.entries(settings).map(async ([name, args]) => ({ name, ...(await start(args)) }));
console.log("| clients | | texts/s | p50 ms | p99 ms | texts per batch |\n| ---: | --- | ---: | ---: | ---: | ---: |");
for (const count of clients.map(Number)) {
  for (const { name, url } of await Promise.all(servers)) {
    await load(url, count, 1);
    const before = await batchSums(url);
    const begin = performance.now();
    const latencies = (await load(url, count, seconds)).sort((a, b) => a - b);
    const elapsed = (performance.now() - begin) / 1000;
    const after = await batchSums(url);
    const quantile = (q: number): string => (1000 * latencies[Math.floor(q * (latencies.length - 1))]!).toFixed(1);
    const mean = (after[0] - before[0]) / (after[1] - before[1]);
    const rate = (latencies.length / elapsed).toFixed(1);
    console.log(`| ${count} | ${name} | ${rate} | ${quantile(0.5)} | ${quantile(0.99)} | ${mean.toFixed(1)} |`);
  }
}
agent.destroy();
for (const server of servers) await (await server).stop();
