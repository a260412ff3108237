// Slips that people make in kernels. Each rung has its own files, so each is tried on its own.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Outcome } from "./cli.ts";

/** One slip: the line as it is, and as it would be. */
export interface Slip {
  file: string;
  /** From 1. */
  line: number;
  kind: string;
  before: string;
  after: string;
}

type Rule = { kind: string; find: RegExp; replace: string };

/** What is looked for within a line of code, and what it becomes. Each match is a slip of its own. */
const RULES: readonly Rule[] = [
  { kind: "a barrier is missing", find: /(workgroup|storage)Barrier\(\);/g, replace: "" },
  { kind: "a bound is off by one", find: / < /g, replace: " <= " },
  { kind: "a bound is off by one", find: / >= /g, replace: " > " },
  { kind: "a sign is wrong", find: / \+ /g, replace: " - " },
  { kind: "a sign is wrong", find: / - /g, replace: " + " },
  { kind: "a stride or factor is missing", find: / \* [\w.]+(?![\w.(]|\[)/g, replace: "" },
  { kind: "a term is dropped", find: / \+= /g, replace: " = " },
  { kind: "a mask is the wrong way round", find: /select\(([^(),]+), ([^(),]+), /g, replace: "select($2, $1, " },
  { kind: "an extreme is the other one", find: /\bmax\(/g, replace: "min(" },
  { kind: "a condition is weaker", find: / && /g, replace: " || " },
];

/** Every slip that can be made in a file. */
export function slipsIn(root: string, file: string): Slip[] {
  return readFileSync(join(root, file), "utf8")
    .split("\n")
    .flatMap((line, i) => {
      const code = line.split("//")[0]!;
      if (/^\s*(override|@group|enable|requires|diagnostic)\b/.test(code)) return []; // declarations: a compiler's business
      return RULES.flatMap(({ kind, find, replace }) =>
        [...code.matchAll(find)].map(({ index, 0: found }) => ({
          ...{ file, kind, line: i + 1, before: line.trim() },
          after:
            line.slice(0, index) + found.replace(new RegExp(find.source), replace) + line.slice(index + found.length),
        })),
      );
    });
}

/** Makes each slip in the copy, and runs the tests of its room, then of its package. A slip that does not compile is not counted. */
export async function trySlips(copy: string, slips: readonly Slip[], tell: (outcome: Outcome) => void): Promise<void> {
  const limits = new Map<string, number>();
  /** The time that tests may take: they have to pass first, or every slip would be noticed. */
  const limitOf = async (folder: string): Promise<number> => {
    const known = limits.get(folder);
    if (known) return known;
    const start = performance.now();
    const { result, output } = await test(copy, folder);
    if (result !== "passed") throw new Error(`mutate: the tests below ${folder} fail without any change:\n${output}`);
    const limit = 3 * (performance.now() - start) + 60_000;
    limits.set(folder, limit);
    return limit;
  };
  for (const { file, line, kind, before, after } of slips) {
    const folders = [dirname(file), file.split("/").slice(0, 3).join("/")];
    const path = join(copy, file);
    const source = readFileSync(path, "utf8");
    const slipped = source
      .split("\n")
      .with(line - 1, after)
      .join("\n");
    let result: Result = "passed";
    for (const folder of new Set(folders)) {
      const limit = await limitOf(folder);
      writeFileSync(path, slipped);
      ({ result } = await test(copy, folder, limit));
      writeFileSync(path, source);
      if (result !== "passed") break;
    }
    if (result === "no kernel") continue;
    tell({ file, line, change: `${kind}: ${before} → ${after.trim()}`, noticed: result === "failed" });
  }
}

type Result = "passed" | "failed" | "no kernel";

/** Runs the tests below a folder up to the first that fails. Tests that take longer than the limit, as where a kernel never ends, have failed. */
function test(copy: string, folder: string, limit?: number): Promise<{ result: Result; output: string }> {
  const args = ["node_modules/vitest/vitest.mjs", "run", "--bail=1", `${folder}/`];
  const child = spawn(process.execPath, args, { cwd: copy, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += String(text)));
  const timer = limit && setTimeout(() => process.kill(-child.pid!, "SIGKILL"), limit); // with the processes that Vitest has started
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      const result = status === 0 ? "passed" : /ShaderError/.test(output) ? "no kernel" : "failed";
      resolve({ result, output });
    });
  });
}
