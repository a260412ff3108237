// Run in Deno by cli.ts: runs bundled test files with Vitest's runner, and prints a line for each file and each failure.
/* global Deno, performance */
import { startTests } from "@vitest/runner";

const files = Deno.args;
const seconds = (ms = 0) => (ms / 1000).toFixed(1);
const config = {
  root: Deno.cwd(),
  setupFiles: [],
  passWithNoTests: false,
  sequence: { hooks: "stack", setupFiles: "list", concurrent: false, shuffle: false, seed: 0 },
  chaiConfig: {},
  maxConcurrency: 1,
  testTimeout: 180_000,
  hookTimeout: 180_000,
  retry: 0,
  includeTaskLocation: false,
  diffOptions: {},
};
/** Tests of what can't hold here, with the reason. */
const differences = {
  "an evaluation without recording does not reach what runs at the same time":
    "this is the browser's build, which does not tell asynchronous activities apart",
};
const counts = { pass: 0, fail: 0, skip: 0 };

function report(task, path) {
  const title = [...path, task.name];
  if (task.type === "suite") for (const child of task.tasks) report(child, title);
  const difference = task.type === "test" && differences[task.name];
  const state = difference ? "skip" : (task.result?.state ?? task.mode);
  if (task.type === "test") counts[state === "pass" || state === "fail" ? state : "skip"]++;
  if (state !== "fail" || !(task.type === "test" || task.result.errors?.length)) return;
  if (task.type === "suite") counts.fail++;
  for (const { message } of task.result.errors ?? []) console.log(`FAILED ${title.join(" > ")}: ${message}`);
}

for (const file of files) {
  const name = file.replace(/.*\/(.*)\.test\.js$/, "$1");
  const start = performance.now();
  const [task] = await startTests([file], { config, importFile: (path) => import(`file://${path}`) });
  if (task.result?.errors?.length) {
    counts.fail++;
    for (const { message } of task.result.errors) console.log(`FAILED ${name}: ${message}`);
  }
  for (const child of task.tasks) report(child, [name]);
  console.log(`${name}: ${seconds(performance.now() - start)} s`);
}
console.log(`${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped`);
Deno.exit(counts.fail > 0 ? 1 : 0);
