import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { destroy, init } from "@gpugrad/tensor";
import { Command, CommanderError } from "commander";
import { encoderCases } from "./cases/encoder.ts";
import { HOST_CASES, measureHost } from "./cases/host.ts";
import { optimCases } from "./cases/optim.ts";
import { loadRooms } from "./cases/rooms.ts";
import { trainingCases } from "./cases/training.ts";
import { caveats, compare } from "./compare.ts";
import { measure, messageOf, type Row } from "./harness.ts";
import { page } from "./html.ts";
import { better, measureLimits, withShares, type Limits } from "./limits.ts";
import { thisMachine } from "./machine.ts";
import { toRegExp } from "./options.ts";
import { load, recordOf, save, type Run } from "./record.ts";
import { changesReport, report } from "./report.ts";

interface Options {
  only?: RegExp;
  adapter?: string;
  ladder?: string;
  json?: string | true;
  save?: string | true;
  compare?: string;
  markdown?: true;
  html?: string;
}

const program = new Command("bench")
  .description(
    "Times the cases on the adapter at hand, each after a check against float64: a wrong kernel has no time.",
  )
  .option("--only <regex>", "cases whose name matches", toRegExp)
  .option("--adapter <name>", "hardware, lavapipe, swiftshader, or a part of an adapter's name (like GPUGRAD_ADAPTER)")
  .option("--ladder <room>", "all rungs of a room's kernels, or of the cases whose name begins so: softmax, gelu")
  .option("--json [file]", "the rows as JSON, to stdout or a file, instead of tables")
  .option("--save [file]", "keep the run as JSON, in bench/results/ unless a file is given")
  .option(
    "--compare <file>",
    "compare with a run that was saved; exit code 1 if a case got slower by more than the noise",
  )
  .option("--markdown", "the tables with device, versions, command and date above")
  .option("--html <file>", "write one page with roofline, bars and tables")
  .exitOverride();

/** A case, and how to measure it, alone or with all rungs of its ladder. */
interface Job {
  name: string;
  measure: (limits: Limits) => Promise<Row[]>;
}

/** What is to be measured, in order. */
async function jobsOf({ only, ladder }: Options, gpu: boolean): Promise<Job[]> {
  const rooms = [...(await loadRooms()), ["optim", optimCases] as const];
  const all = [...rooms, ["model", [...encoderCases, ...trainingCases]] as const];
  const jobs = all.flatMap(([room, cases]) =>
    cases.flatMap((c): Job[] => {
      if (c.gpuOnly && !gpu) return [];
      if (ladder === undefined) return [{ name: c.name, measure: (limits) => measure(room, c, limits) }];
      const rungs = [...(c.rungs ?? []).keys()].filter((rung) => c.rungs![rung]!.suits?.() ?? true);
      if (rungs.length === 0 || (room !== ladder && !c.name.startsWith(ladder))) return [];
      return [{ name: c.name, measure: (limits) => measure(room, c, limits, [...rungs, undefined]) }];
    }),
  );
  if (ladder === undefined)
    jobs.push(...HOST_CASES.map((name) => ({ name, measure: async () => [await measureHost(name)] })));
  const chosen = jobs.filter(({ name }) => !only || only.test(name));
  if (chosen.length > 0) return chosen;
  const withLadders = rooms.filter(([, cases]) => cases.some((c) => c.rungs?.length)).map(([room]) => room);
  const names = jobs.map(({ name }) => name);
  return program.error(
    ladder !== undefined && names.length === 0
      ? `error: no ladder ${ladder}. Rooms with ladders: ${withLadders.join(", ")}`
      : `error: no case matches ${String(only)}. Cases: ${names.join(", ")}`,
  );
}

const note = (text: string): void => void process.stderr.write(`${text}\n`);

/** @returns the exit code: 0, or 1 if a case failed or got slower. */
async function bench(options: Options): Promise<number> {
  const before = options.compare === undefined ? undefined : load(options.compare);
  if (options.adapter) process.env["GPUGRAD_ADAPTER"] = options.adapter;
  const { adapter } = await init();
  const jobs = await jobsOf(options, !adapter.cpu);
  note(`bench: on ${adapter.description}`);
  const [load1 = 0] = loadavg();
  if (load1 > cpus().length / 4) {
    note(
      `bench: other programs are at work here (load ${load1.toFixed(1)} on ${cpus().length} cores): expect longer times.`,
    );
  }
  const record = recordOf(["pnpm bench", ...process.argv.slice(2)].join(" "), await measureLimits(thisMachine));
  await destroy();
  for (const job of jobs) {
    note(`bench: ${job.name}`);
    await init(); // a device for each case: its compile time is its own, and a case that loses it takes no other down
    record.rows.push(...(await job.measure(record.limits)));
    await destroy();
  }
  await init();
  record.limits = better(record.limits, await measureLimits(thisMachine));
  await destroy();
  record.rows = record.rows.map((row) => withShares(row, record.limits));
  return finish(record, before, options);
}

/** Writes what was asked for. */
function finish(record: Run, before: Run | undefined, options: Options): number {
  const json = `${JSON.stringify(record.rows, null, 1)}\n`;
  if (typeof options.json === "string") writeFileSync(options.json, json);
  else if (options.json) process.stdout.write(json);
  else process.stdout.write(report(record, { heading: options.markdown ?? false }));
  if (options.save) note(`bench: saved ${save(record, options.save === true ? undefined : options.save)}`);

  if (options.html) writeFileSync(options.html, page(record));

  const failed = record.rows.filter((row) => row.error);
  for (const row of failed) note(`bench: ${row.case} ${row.rung ?? ""} failed: ${row.error}`);
  const changes = before ? compare(before, record) : [];
  if (before) {
    for (const caveat of caveats(before, record)) note(`bench: compared with ${options.compare}: ${caveat}`);
    (options.json === true ? process.stderr : process.stdout).write(
      `\nCompared with ${options.compare}:\n\n${changesReport(changes)}`,
    );
  }
  return failed.length > 0 || changes.some(({ verdict }) => verdict === "slower") ? 1 : 0;
}

try {
  program.parse();
  process.exitCode = await bench(program.opts<Options>());
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    note(`bench: ${messageOf(error)}`);
    process.exitCode = 1;
  }
}
