import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

/** The Node that runs StrykerJS. */
export const nodeIn = (copy: string): string =>
  join(copy, "node_modules", NODE.split("@")[0]!, "bin", process.platform === "win32" ? "node.exe" : "node");

function pnpm(cwd: string, ...args: string[]): void {
  const { status } = spawnSync("npx", ["-y", "pnpm@10", ...args], { cwd, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`mutate: pnpm ${args[0]} failed in ${cwd}. Can the package registry be reached?`);
}
