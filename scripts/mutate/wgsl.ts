// Slips that people make in kernels. Each rung has its own files, so each is tried on its own.
import { spawnSync } from "node:child_process";
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

/** Makes each slip in the copy, and runs the tests of its room, then of its package. What does not compile is no slip. */
export async function trySlips(copy: string, slips: readonly Slip[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { file, line, kind, before, after } of slips) {
    const path = join(copy, file);
    const source = readFileSync(path, "utf8");
    const lines = source.split("\n");
    lines[line - 1] = after;
    writeFileSync(path, lines.join("\n"));
    try {
      const first = test(copy, dirname(file));
      const result = first === "passed" ? test(copy, file.split("/").slice(0, 3).join("/")) : first;
      if (result === "no kernel") continue;
      outcomes.push({ file, line, change: `${kind}: ${before} → ${after.trim()}`, noticed: result === "failed" });
    } finally {
      writeFileSync(path, source);
    }
  }
  return outcomes;
}

function test(copy: string, folder: string): "passed" | "failed" | "no kernel" {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/test.mjs", "--bail=1", `${folder}/`], {
    cwd: copy,
    encoding: "utf8",
    timeout: 600_000, // a kernel may never end
  });
  if (status === 0) return "passed";
  return /ShaderError/.test(stdout + stderr) ? "no kernel" : "failed";
}
