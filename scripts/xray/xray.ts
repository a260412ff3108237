import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Collection } from "./collect.ts";
import { hotLoop, mixOf, readDisassembly, readStatistics, type Mix, type Statistics } from "./machine-code.ts";
import { pretend, type Gpu, type SubgroupSize } from "./pretend.ts";
import type { Variant } from "./variants.ts";

/** What became of a variant. */
export interface Report extends Statistics {
  variant: Variant;
  gpu: Gpu;
  subgroupSize: SubgroupSize;
  /** Of the hot loop; its loads are those of the whole kernel if it has none itself. */
  hotLoop: Mix;
  disassembly: string[];
}

/** The kernels, each at the tunings that the ops pick on `gpu`, and on others that offer more or less. */
export async function collect(gpu: Gpu): Promise<Collection> {
  return withFile("[]", async (file) => {
    await child("collect.ts", file, pretend(gpu, 64));
    return JSON.parse(readFileSync(file, "utf8")) as Collection;
  });
}

/** Compiles each variant. `problems` says which don't compile, and why. */
export async function compile(
  variants: readonly Variant[],
  gpu: Gpu,
  subgroupSize: SubgroupSize,
): Promise<{ reports: Report[]; problems: string[] }> {
  const output = await withFile(JSON.stringify(variants), (file) =>
    child("compile.ts", file, pretend(gpu, subgroupSize)),
  );
  const reports: Report[] = [];
  const problems: string[] = [];
  for (const part of output.split("\n@@variant ").slice(1)) {
    const failure = /^@@failure (.*)$/m.exec(part)?.[1];
    if (failure) {
      problems.push(JSON.parse(failure) as string);
      continue;
    }
    const variant = variants[parseInt(part)]!;
    const statistics = readStatistics(part);
    if (!statistics) throw new Error(`xray: RADV reported nothing about ${variant.file} ${variant.tuning}:\n${part}`);
    const disassembly = readDisassembly(part);
    const loop = mixOf(hotLoop(disassembly));
    const { loads, bytesPerLoad } = loop.loads > 0 ? loop : mixOf(disassembly);
    reports.push({ variant, gpu, subgroupSize, ...statistics, hotLoop: { ...loop, loads, bytesPerLoad }, disassembly });
  }
  return { reports, problems };
}

/** What a GPU must not do with a kernel, in words. */
export function defects({ spills, scratch }: Statistics): string[] {
  return [
    ...(spills > 0 ? [`${spills} registers spilled`] : []),
    ...(scratch > 0 ? [`${scratch} bytes of scratch memory`] : []),
  ];
}

async function withFile<T>(content: string, work: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-xray-"));
  try {
    writeFileSync(join(folder, "variants.json"), content);
    return await work(join(folder, "variants.json"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a program of this folder, and gives what it and the driver wrote to stderr. */
async function child(program: string, file: string, env: NodeJS.ProcessEnv): Promise<string> {
  const loaders = [import.meta.resolve("tsx"), new URL("../text-loader.mjs", import.meta.url).href];
  const path = fileURLToPath(new URL(program, import.meta.url));
  const args = [...loaders.flatMap((url) => ["--import", url]), "--disable-warning=ExperimentalWarning", path, file];
  const log = `${file}.log`; // a file, for a pipe that is full fails a write here, and the driver doesn't try again
  const stderr = openSync(log, "w");
  try {
    const running = spawn(process.execPath, args, { env, stdio: ["ignore", "inherit", stderr] });
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      running.on("error", reject).on("close", (...how) => resolve(how));
    });
    const output = readFileSync(log, "utf8");
    if (code !== 0) throw new Error(`xray: ${program} ended by ${signal ?? code}:\n${output.slice(-2000)}`);
    return output;
  } finally {
    closeSync(stderr);
  }
}
