// Slips that people make in kernels. Each rung has its own files, so each is tried on its own.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Outcome } from "./cli.ts";
import { testsOf } from "./copy.ts";

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

/**
 * Makes each slip in the copy, and runs the tests of its room, which owes one for each kind: those of other rooms would see some of them, much
 * later. A slip that does not compile is not counted.
 */
export async function trySlips(
  copy: string,
  slips: readonly Slip[],
  onOutcome: (outcome: Outcome) => void,
): Promise<void> {
  const limits = new Map<string, number>();
  for (const { file, line, kind, before, after } of slips) {
    const room = dirname(file);
    const tests = testsOf(copy, file);
    let limit = limits.get(room);
    if (!limit) {
      const start = performance.now();
      const { result, output } = await run(copy, tests);
      // Or every slip would be noticed.
      if (result !== "passed") throw new Error(`mutate: the tests of ${room} fail without any slip:\n${output}`);
      limits.set(room, (limit = 3 * (performance.now() - start) + 60_000));
    }
    const path = join(copy, file);
    const source = readFileSync(path, "utf8");
    writeFileSync(
      path,
      source
        .split("\n")
        .with(line - 1, after)
        .join("\n"),
    );
    const { result, why } = await run(copy, tests, limit);
    writeFileSync(path, source);
    if (result === "no kernel") continue;
    onOutcome({ file, line, change: `${kind}: ${before} → ${after.trim()}`, noticed: result === "failed", why });
  }
}

type Result = "passed" | "failed" | "no kernel";

/** Runs tests up to the first that fails. Tests that take longer than the limit, as where a kernel never ends, have failed. */
function run(copy: string, tests: string[], limit?: number): Promise<{ result: Result; output: string; why?: string }> {
  const args = ["node_modules/vitest/vitest.mjs", "run", "--bail=1", ...tests];
  const env = { ...process.env, NO_COLOR: "1" };
  const child = spawn(process.execPath, args, { cwd: copy, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += String(text)));
  const timer = limit && setTimeout(() => process.kill(-child.pid!, "SIGKILL"), limit); // with the processes that Vitest has started
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (status === 0) return resolve({ result: "passed", output });
      const why = signal ? "it took too long" : /^ *FAIL +(.*)$/m.exec(output)?.[1];
      resolve({ result: /ShaderError/.test(output) ? "no kernel" : "failed", output, ...(why && { why }) });
    });
  });
}
