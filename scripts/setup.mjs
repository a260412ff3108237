// Installs the workspace's dependencies when they are missing or older than the lockfile, so that every
// `pnpm <command>` of the README works on a fresh clone. Progress goes to stderr: stdout belongs to the program.
// Imported, or run as `node scripts/setup.mjs && …`.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

export function ensureInstalled() {
  const installed = join(root, "node_modules", ".modules.yaml");
  const lockfile = join(root, "pnpm-lock.yaml");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockfile).mtimeMs) return;
  console.error("Installing dependencies (once; about a minute) …");
  // npm_execpath is the pnpm that runs us; without it (plain `node scripts/run.mjs`) npx fetches one.
  const pnpm = process.env.npm_execpath?.includes("pnpm")
    ? [process.execPath, process.env.npm_execpath]
    : ["npx", "-y", "pnpm@10"];
  const [command, ...args] = [...pnpm, "install", "--frozen-lockfile", "--prefer-offline"];
  const { status } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) {
    console.error(
      "pnpm install failed: see above. Check the network or the registry setting, then run the command again.",
    );
    process.exit(1);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) ensureInstalled();
