import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { destroy, device, init } from "@gpugrad/tensor";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { encoderCases } from "./cases/encoder.ts";
import { rooms } from "./cases/ops.ts";
import { measure, type Row } from "./harness.ts";
import { measureLimits } from "./limits.ts";
import { report } from "./report.ts";

const cases = [...Object.values(rooms).flat(), ...encoderCases];

interface Options {
  only?: RegExp;
  json?: string;
}

const program = new Command("bench")
  .description(
    "Times the cases on the adapter at hand, each after a check against float64: a wrong kernel has no time.",
  )
  .option("--only <regex>", "cases whose name matches", toRegExp)
  .option("--json <file>", "write the rows there as JSON, instead of a table to stdout")
  .addHelpText("after", `\nCases: ${cases.map((c) => c.name).join(", ")}`)
  .exitOverride();

function toRegExp(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** @returns the exit code: 0, or 1 if a case failed. */
async function bench({ only, json }: Options): Promise<number> {
  const chosen = cases.filter((c) => !only || only.test(c.name));
  if (chosen.length === 0) {
    program.error(`error: no case matches ${String(only)}. Cases: ${cases.map((c) => c.name).join(", ")}`);
  }
  await init();
  const note = (text: string): void => void process.stderr.write(`${text}\n`);
  note(`bench: on ${device().adapter.description}`);
  const [load = 0] = loadavg();
  if (load > cpus().length / 4) {
    note(
      `bench: other programs are at work here (load ${load.toFixed(1)} on ${cpus().length} cores): expect longer times.`,
    );
  }
  const limits = await measureLimits();
  const rows: Row[] = [];
  for (const benchCase of chosen) {
    note(`bench: ${benchCase.name}`);
    rows.push(await measure(benchCase, limits));
  }
  if (json) writeFileSync(json, `${JSON.stringify(rows, null, 1)}\n`);
  else process.stdout.write(report(rows, limits));
  const failed = rows.filter((row) => row.error);
  for (const row of failed) note(`bench: ${row.case} failed: ${row.error}`);
  await destroy();
  return failed.length > 0 ? 1 : 0;
}

try {
  program.parse();
  process.exitCode = await bench(program.opts<Options>());
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
