// pnpm xray [kernel…]: what kernels become on a GPU that is not there. docs/xray.md says how to read it.
import { kernel } from "@gpugrad/tensor";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { gpus, type Gpu, type SubgroupSize } from "./pretend.ts";
import { compileByNak, type NakFailure, type NakReport } from "./nak.ts";
import { variantOf, type Variant } from "./variants.ts";
import { collect, compile, type Report } from "./xray.ts";

const usage = `pnpm xray [kernel…] [--gpu NAME] [--subgroup-size 32|64] [--set NAME=NUMBER] [--nak FOLDER] [--isa] [--json]

Shows what kernels become on an AMD GPU, without the GPU: registers, occupancy, and what the hot loop is made of; with --nak, what they
become on an NVIDIA GPU beside it.
A kernel is a part of a file's name (all that a GPU can get unless given; each at every tuning that can be picked), or a WGSL file
of your own, which is compiled as it stands. docs/xray.md says how to read the table.

  --gpu NAME            ${Object.entries(gpus)
    .map(([name, generation]) => `${name} (${generation})`)
    .join(", ")}; the first unless given
  --subgroup-size N     lanes in a subgroup, 64 unless given
  --set NAME=NUMBER     an override, for WGSL files of your own
  --nak FOLDER          the folder of nak.mjs, which compiles for NVIDIA; GPUGRAD_NAK unless given
  --isa                 the machine code as well
  --json                the numbers as JSON`;

interface Options {
  gpu: Gpu;
  subgroupSize: SubgroupSize;
  overrides: Record<string, number>;
  nak: string | undefined;
  isa: boolean;
  json: boolean;
}

/** @throws for wrong usage */
function parse(): { names: string[]; options: Options; help: boolean } {
  const [text, flag] = [{ type: "string" }, { type: "boolean", default: false }] as const;
  const options = { gpu: { ...text, default: "NAVI31" }, "subgroup-size": { ...text, default: "64" } } as const;
  const more = { set: { ...text, multiple: true }, nak: text, isa: flag, json: flag, help: flag } as const;
  const { values, positionals } = parseArgs({ options: { ...options, ...more }, allowPositionals: true });
  const { gpu, "subgroup-size": subgroupSize, set = [], isa, json, help } = values;
  const nak = values.nak ?? (process.env["GPUGRAD_NAK"] || undefined);
  if (!Object.hasOwn(gpus, gpu)) throw new Error(`--gpu ${gpu}: it may be ${Object.keys(gpus).join(", ")}.`);
  if (!["32", "64"].includes(subgroupSize)) throw new Error(`--subgroup-size ${subgroupSize}: it may be 32 or 64.`);
  const overrides: Record<string, number> = {};
  for (const pair of set) {
    const [, name, value] = /^(\w+)=(-?[\d.]+)$/.exec(pair) ?? [];
    if (name === undefined) throw new Error(`--set ${pair}: it has to be NAME=NUMBER.`);
    overrides[name] = Number(value);
  }
  const size = Number(subgroupSize) as SubgroupSize;
  return { names: positionals, options: { gpu: gpu as Gpu, subgroupSize: size, overrides, nak, isa, json }, help };
}

/** Kernels by parts of their names, and files as they stand. */
async function find(names: readonly string[], { gpu, overrides }: Options): Promise<Variant[]> {
  const files = names.filter((name) => name.endsWith(".wgsl") && existsSync(name));
  const given = files.map((file) => variantOf(kernel(file, readFileSync(file, "utf8")), overrides));
  const parts = names.filter((name) => !files.includes(name));
  if (files.length > 0 && parts.length === 0) return given;
  const { variants, problems } = await collect(gpu);
  for (const problem of problems) process.stderr.write(`xray: not seen: ${problem}\n`);
  const chosen = variants.filter(({ file }) => parts.length === 0 || parts.some((part) => file.includes(part)));
  if (chosen.length === 0) {
    const all = [...new Set(variants.map(({ file }) => file))].sort();
    throw new Error(`xray: no kernel is named ${parts.join(" or ")}. Kernels that a GPU can get: ${all.join(", ")}.`);
  }
  chosen.sort((a, b) => a.file.localeCompare(b.file) || a.tuning.localeCompare(b.tuning, "en", { numeric: true }));
  return [...given, ...chosen];
}

const dash = (value: number, text: string): string => (value > 0 ? text : "–");

/** A variant as both compilers see it; the second only where it was asked. */
type Seen = Report & { nak?: NakReport | NakFailure };

const columns: Record<string, (report: Seen) => string> = {
  kernel: ({ variant }) => basename(variant.file, ".wgsl"),
  tuning: ({ variant }) => variant.tuning || "as it stands",
  registers: ({ registers }) => `${registers}`,
  spills: ({ spills }) => `${spills}`,
  scratch: ({ scratch }) => `${scratch}`,
  "wg bytes": ({ workgroupMemory }) => dash(workgroupMemory, `${workgroupMemory}`),
  "subgroups/SIMD": ({ subgroupsPerSimd }) => `${subgroupsPerSimd}`,
  "FMA share": ({ hotLoop: { fmaShare } }) => dash(fmaShare, fmaShare.toFixed(2)),
  "FMA/wg access": ({ hotLoop: { fma, workgroupAccesses } }) =>
    dash(fma * workgroupAccesses, (fma / workgroupAccesses).toFixed(1)),
  "bytes/load": ({ hotLoop: { bytesPerLoad } }) => dash(bytesPerLoad, bytesPerLoad.toFixed(0)),
  wmma: ({ hotLoop: { wmma } }) => dash(wmma, `${wmma}`),
};

const byNak =
  (cell: (report: NakReport) => string) =>
  ({ nak }: Seen): string =>
    !nak || "error" in nak ? "failed" : cell(nak);

/** The columns of the second compiler, beside the first one's. */
const nakColumns: typeof columns = {
  "NV registers": byNak(({ registers }) => `${registers}`),
  "NV spills": byNak(({ spills }) => `${spills}`),
  "NV local": byNak(({ localBytes }) => `${localBytes}`),
  "warps/SM": byNak(({ warpsPerSM }) => `${warpsPerSM}`),
  "loop instructions": byNak(({ hotLoop, instructions }) => `${hotLoop?.instructions ?? instructions}`),
  "of them FFMA": byNak(({ hotLoop: { ffma = 0 } = {} }) => dash(ffma, `${ffma}`)),
  HMMA: byNak(({ hotLoop: { hmma = 0 } = {} }) => dash(hmma, `${hmma}`)),
};

function table(reports: readonly Seen[]): string {
  const shown = { ...columns, ...(reports.some(({ nak }) => nak) && nakColumns) };
  const rows = [Object.keys(shown), ...reports.map((report) => Object.values(shown).map((cell) => cell(report)))];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: string[]): string =>
    row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

async function xray(names: string[], options: Options): Promise<void> {
  const { gpu, subgroupSize, isa, json } = options;
  const compiled = await compile(await find(names, options), gpu, subgroupSize);
  const problems = [...compiled.problems];
  const reports: Seen[] = compiled.reports;
  if (options.nak !== undefined) {
    const seen = await compileByNak(
      reports.map(({ variant }) => variant),
      options.nak,
    );
    for (const [i, nak] of seen.entries()) {
      const { variant } = Object.assign(reports[i]!, { nak });
      if ("error" in nak) problems.push(`NAK: ${variant.file} ${variant.tuning}: ${nak.error}`);
    }
  }
  for (const problem of problems) process.stderr.write(`xray: ${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
  if (json) {
    const plain = reports.map(({ variant: { file, tuning }, disassembly, ...numbers }) => ({
      ...{ file, tuning, ...numbers },
      ...(isa && { disassembly }),
    }));
    process.stdout.write(`${JSON.stringify(plain, null, 1)}\n`);
    return;
  }
  process.stdout.write(`${gpu} (${gpus[gpu]}), ${subgroupSize} lanes\n\n${table(reports)}`);
  for (const { variant, disassembly } of isa ? reports : []) {
    process.stdout.write(`\n; ${variant.file} ${variant.tuning}\n${disassembly.join("\n")}\n`);
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
let given: ReturnType<typeof parse> | undefined;
try {
  given = parse();
} catch (error) {
  process.stderr.write(`xray: ${message(error)}\n\n${usage}\n`);
  process.exitCode = 2;
}
if (given?.help) process.stdout.write(`${usage}\n`);
else if (given) {
  await xray(given.names, given.options).catch((error: unknown) => {
    process.stderr.write(`${message(error)}\n`);
    process.exitCode = 1;
  });
}
