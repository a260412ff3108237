import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Only `pnpm mutate` needs them, so they are installed into its copy: 130 packages that nobody else has to wait for. */
const STRYKER = ["@stryker-mutator/core@10.1.1", "@stryker-mutator/vitest-runner@10.1.1"];
/** StrykerJS asks for Node 22, this project for 20. */
const NODE = `node-${process.platform}-${process.arch}@22`;

/** A copy of what git knows or would, with its dependencies: changes are made there, and whatever ends this program leaves the tree as it is. */
export function copyOfTheTree(root: string, { stryker }: { stryker: boolean }): string {
  const copy = mkdtempSync(join(tmpdir(), "gpugrad-mutate-"));
  const listed = spawnSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" });
  for (const file of listed.stdout.split("\n").filter(Boolean)) cpSync(join(root, file), join(copy, file));
  pnpm(copy, "install", "--frozen-lockfile", "--prefer-offline");
  if (stryker) pnpm(copy, "add", "--workspace-root", "--save-dev", "--prefer-offline", ...STRYKER, NODE);
  return copy;
}

/** The tests beside a source, in its own room: they owe one for each kind of change. Those of the folder above where its own has none. */
export function testsOf(copy: string, file: string): string[] {
  for (let folder = dirname(file); folder !== "."; folder = dirname(folder)) {
    const tests = readdirSync(join(copy, folder)).filter((name) => name.endsWith(".test.ts"));
    if (tests.length > 0) return tests.map((name) => `${folder}/${name}`);
  }
  throw new Error(`mutate: there are no tests beside ${file}.`);
}

/** The Node that runs StrykerJS. */
export const nodeIn = (copy: string): string =>
  join(copy, "node_modules", NODE.split("@")[0]!, "bin", process.platform === "win32" ? "node.exe" : "node");

function pnpm(cwd: string, ...args: string[]): void {
  const { status } = spawnSync("npx", ["-y", "pnpm@10", ...args], { cwd, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`mutate: pnpm ${args[0]} failed in ${cwd}. Can the package registry be reached?`);
}
