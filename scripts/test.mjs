// pnpm test [vitest arguments]: installs what is missing, makes sure that there is an adapter, runs the tests, and ends
// with what failed, a line each, and one line `N passed, N failed[, N skipped]`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { ensureInstalled, root } from "./setup.mjs";

ensureInstalled();
/** Runs a program without the lines that Dawn writes to stderr, from C++, at every search for an adapter. */
async function run(args, { stdout = "inherit", env = process.env } = {}) {
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["inherit", stdout, "pipe"] });
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (!/^Warning: maxDynamic\w+ artificially reduced from/.test(line)) process.stderr.write(`${line}\n`);
  });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => (output += text));
  const [status] = await once(child, "close");
  return { status, output };
}

// Once before all: tests that run at the same time would each fetch SwiftShader, and each fail for want of an adapter.
const search = await run(["scripts/run.mjs", "scripts/adapter.ts"], { stdout: "pipe" });
if (search.status !== 0) finish({ failed: 1 });
const adapter = JSON.parse(search.output);
console.log(`Adapter: ${adapter.description}`);

const args = process.argv.slice(2).filter((arg, i) => i > 0 || arg !== "--");
const env = { ...process.env, GPUGRAD_ADAPTER: process.env.GPUGRAD_ADAPTER || adapter.via };
const vitest = "node_modules/vitest/vitest.mjs";
if (args.includes("--watch")) process.exit((await run([vitest, ...args], { env })).status ?? 1);

const folder = mkdtempSync(join(tmpdir(), "gpugrad-test-"));
const report = join(folder, "report.json");
const { status } = await run(
  [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile=${report}`, ...args],
  { env },
);
let counts;
try {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  // A file that does not even load has failed without a failed test.
  const broken = testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.every((t) => t.status !== "failed"),
  );
  counts = { passed: numPassedTests, failed: numFailedTests + broken.length, skipped: numPendingTests + numTodoTests };
  for (const { name, assertionResults } of testResults)
    for (const { status, fullName, failureMessages } of assertionResults)
      if (status === "failed") tellFailure(name, fullName, failureMessages[0] ?? "");
  for (const { name, message } of broken) tellFailure(name, "the file itself", message);
} catch {
  counts = {}; // vitest ended before it could report
}
rmSync(folder, { recursive: true });
if (status !== 0 && !counts.failed) {
  console.log("FAILED outside of any test: see above");
  counts.failed = 1;
}
finish(counts);

function tellFailure(file, test, message) {
  const reason = message.split("\n")[0].replace("STACK_TRACE_ERROR", "it took too long"); // vitest's word for it
  console.log(`FAILED ${relative(root, file)}: ${test}: ${reason}`);
}

function finish({ passed = 0, failed = 0, skipped = 0 }) {
  console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
  process.exit(failed > 0 ? 1 : 0);
}
