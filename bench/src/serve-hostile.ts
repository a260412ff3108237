/**
 * How soon `gpugrad serve` answers `GET /health` while 16 clients use it, and while a hostile one does, too:
 *
 *     node scripts/run.mjs bench/src/serve-hostile.ts [MODEL] --seconds 20
 *
 * The hostile client keeps 8 connections busy with bodies of a megabyte and more (long texts, special tokens, deep nesting, many values, what is no
 * JSON), and 50 with a byte now and then. Clients run in threads of their own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { Command } from "commander";
import { measureHealth, quantile } from "../../packages/gpugrad/test/hostile.ts";
import { makeModel, start } from "./served.ts";

const program = new Command("serve-hostile")
  .argument("[model]", "a folder or a hub id (default: two layers of random weights, 128 wide, made for the run)")
  .option("--seconds <n>", "of each measurement", Number, 20)
  .parse();
const { seconds } = program.opts<{ seconds: number }>();

const print = (cells: string[]): void => console.log(`| ${cells.join(" | ")} |`);
const shown = (statuses: Record<string, number>): string =>
  Object.entries(statuses).map(([status, count]) => `${count} × ${status}`).join(", "); // prettier-ignore

const made = await mkdtemp(`${tmpdir()}/serve-hostile-`);
try {
  const [model = made] = program.args;
  if (model === made) await makeModel(made);
  const server = await start(model, []);
  try {
    console.log(`${server.device}; load ${loadavg()[0]!.toFixed(1)}\n`);
    print([
      "hostile connections",
      "/health p50 ms",
      "p99 ms",
      "most ms",
      "answers to 16 clients",
      "to the hostile one",
    ]);
    print(["---:", "---:", "---:", "---:", "---", "---"]);
    await measureHealth(server.url, 3, 0); // does not count
    for (const hostile of [0, 8]) {
      const { health, honest, hostile: refused } = await measureHealth(server.url, seconds, hostile);
      const times = [0.5, 0.99, 1].map((q) => quantile(health, q).toFixed(1));
      print([String(hostile && hostile + 50), ...times, shown(honest), shown(refused)]);
    }
  } finally {
    await server.stop();
  }
} finally {
  await rm(made, { recursive: true });
}
