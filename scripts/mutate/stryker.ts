import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Outcome } from "./cli.ts";
import { nodeIn } from "./copy.ts";
import type { Place } from "./statements.ts";

/** What is read of StrykerJS's report. @see https://github.com/stryker-mutator/mutation-testing-elements/tree/master/packages/report-schema */
interface Report {
  files: Record<string, { source: string; mutants: Mutant[] }>;
  testFiles?: Record<string, { tests: { id: string; name: string }[] }>;
}
interface Mutant {
  status: "Killed" | "Timeout" | "Survived" | "NoCoverage" | "CompileError" | "RuntimeError" | "Ignored" | "Pending";
  replacement?: string;
  /** Ids of tests. */
  killedBy?: string[];
  location: { start: { line: number; column: number }; end: { line: number; column: number } };
}

/** Tests should not pin the text of a message word by word, and a log line that is empty is not wrong. */
const EXCLUDED = ["StringLiteral"];

/** Lets StrykerJS change what is in `places`, and run those of `tests` that reach it. */
export async function mutateTypeScript(
  copy: string,
  places: readonly Place[],
  tests: readonly string[],
  onOutcome: (outcome: Outcome) => void,
): Promise<void> {
  if (places.length === 0) return;
  writeFileSync(
    join(copy, "vitest.mutate.config.ts"),
    `import config from "./vitest.config.ts";\nconfig.test!.include = ${JSON.stringify(tests)};\nexport default config;\n`,
  );
  const config = {
    mutate: places.map(({ file, range }) => `${file}:${range}`),
    mutator: { excludedMutations: EXCLUDED },
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "vitest.mutate.config.ts", pool: "forks" },
    coverageAnalysis: "perTest",
    inPlace: true, // it is a copy already
    ignoreStatic: true,
    disableTypeChecks: false, // Vitest checks none
    concurrency: 1,
    timeoutMS: 60_000, // beyond 1.5 times what the tests take without a change
    dryRunTimeoutMinutes: 60,
    reporters: ["json", "progress-append-only"],
    allowEmpty: true,
  };
  writeFileSync(join(copy, "stryker.config.json"), JSON.stringify(config));
  const report = join(copy, "reports/mutation/mutation.json");
  rmSync(report, { force: true });
  const program = join(copy, "node_modules/@stryker-mutator/core/bin/stryker.js");
  await once(spawn(nodeIn(copy), [program, "run"], { cwd: copy, stdio: ["ignore", 2, 2] }), "close");
  if (!existsSync(report)) throw new Error(`mutate: StrykerJS did not finish: see above.`);

  const { files, testFiles = {} } = JSON.parse(readFileSync(report, "utf8")) as Report;
  const names = new Map(Object.values(testFiles).flatMap(({ tests }) => tests.map(({ id, name }) => [id, name])));
  for (const [file, { source, mutants }] of Object.entries(files)) {
    for (const { status, replacement = "", killedBy: [test = ""] = [], location } of mutants) {
      if (["CompileError", "RuntimeError", "Ignored", "Pending"].includes(status)) continue;
      const change = `${textAt(source, location)} → ${replacement.replace(/\s+/g, " ").slice(0, 100)}`;
      const why =
        { NoCoverage: "no test reaches it", Timeout: "it took too long" }[status as string] ?? names.get(test);
      onOutcome({ file, line: location.start.line, change, noticed: status === "Killed" || status === "Timeout", why });
    }
  }
}

function textAt(source: string, { start, end }: Mutant["location"]): string {
  const lines = source.split("\n").slice(start.line - 1, end.line);
  if (lines.length > 1) return `${lines[0]!.slice(start.column - 1)} …`;
  return lines[0]!.slice(start.column - 1, end.column - 1).slice(0, 100);
}
