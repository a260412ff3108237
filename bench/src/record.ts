import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { device } from "@gpugrad/tensor";
import type { Row } from "./harness.ts";
import type { Limits } from "./limits.ts";

/** A run of the bench, as it is saved: what was measured, and on what. */
export interface Run {
  /** ISO date and time. */
  date: string;
  /** What was typed. */
  command: string;
  /** The adapter in its own words: device, driver and its version. */
  device: string;
  cpu: string;
  versions: { node: string; webgpu: string; gpugrad: string };
  limits: Limits;
  rows: Row[];
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Everything but the rows. */
export function recordOf(command: string, limits: Limits): Run {
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
    command,
    device: device().adapter.description,
    cpu: `${cpus().length} × ${cpu?.model.trim() ?? "unknown"}`,
    versions: { node: process.version, webgpu: installed("webgpu"), gpugrad: commit() },
    limits,
    rows: [],
  };
}

/** Writes a record, to `bench/results/` unless said otherwise, and says where. */
export function save(record: Run, file?: string): string {
  const name = record.device.toLowerCase().replace(/[^a-z0-9]+/g, "-").split("-").slice(0, 3).join("-"); // prettier-ignore
  const path = file ?? join(root, "bench/results", `${record.date.slice(0, 10)}-${name}.json`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
  return path;
}

/** @throws when the file is not a saved record */
export function load(file: string): Run {
  const record = JSON.parse(readFileSync(file, "utf8")) as Partial<Run>;
  if (!Array.isArray(record.rows) || !record.limits) throw new Error(`${file} is not a run that --save wrote.`);
  return record as Run;
}

function installed(name: string): string {
  const file = join(root, "node_modules", name, "package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** The commit of the sources, with a plus if they differ from it; "unknown" where there is no git. */
function commit(): string {
  const git = (...args: string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" });
  const head = git("rev-parse", "--short", "HEAD");
  if (head.status !== 0) return "unknown";
  return head.stdout.trim() + (git("status", "--porcelain", "--untracked-files=no", "packages").stdout ? "+" : "");
}
