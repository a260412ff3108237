import { spawnSync, type StdioOptions } from "node:child_process";

/** Runs Deno, of npm, and gives what it wrote. */
export function deno(
  args: readonly string[],
  stdio: StdioOptions = "pipe",
): ReturnType<typeof spawnSync> & { stdout: string; stderr: string } {
  return spawnSync("npx", ["-y", "deno@2.9.6", ...args], { encoding: "utf8", stdio, maxBuffer: 2 ** 28 });
}

/** Options of a program that uses WebGPU. */
export const WITH_GPU = ["run", "-A", "--unstable-webgpu"];

/** Why Deno can't be had here; undefined where it can. */
export function withoutDeno(): string | undefined {
  const { status, stderr } = deno(["--version"]);
  return status === 0 ? undefined : stderr.trim().split("\n").at(-1);
}
