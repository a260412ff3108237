import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeError } from "../output.ts";

interface Step {
  command: string[];
  /** What the command reads from stdin. */
  input?: string;
}

/**
 * Installs lavapipe, Mesa's Vulkan driver for the CPU, with apt. Everything is written to stderr.
 *
 * @returns whether every step succeeded.
 */
export function installLavapipe(): boolean {
  const steps = lavapipeSteps();
  if (!steps) {
    writeError(`gpugrad doctor --fix: there is no apt-get here. ${lavapipeCommands()}\n`);
    return false;
  }
  for (const { command, input } of steps) {
    writeError(`$ ${command.join(" ")}\n`);
    const [program, ...args] = asRoot(command);
    const { status, error } = spawnSync(program!, args, {
      input,
      stdio: [input === undefined ? "inherit" : "pipe", 2, 2], // stdout belongs to the report
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    if (status !== 0) {
      const why = error ? error.message : `exit code ${status}`;
      writeError(`gpugrad doctor --fix: ${command.join(" ")} failed: ${why}. Run it as root.\n`);
      return false;
    }
  }
  return true;
}

/** The commands that install lavapipe on this system, for people to read. */
export function lavapipeCommands(): string {
  const steps = lavapipeSteps();
  if (!steps)
    return "Install Mesa's Vulkan drivers, 25 or newer, and the Vulkan loader with this system's package manager.";
  const lines = steps.map(({ command, input }) => (input ? `echo '${input.trim()}' | ` : "") + command.join(" "));
  return `pnpm gpugrad doctor --fix (${lines.join(" && ")})`;
}

/** Dawn needs Mesa 25. Debian 12 has it in its backports; Debian 13 and Ubuntu with their updates have it as it is. */
function lavapipeSteps(): Step[] | undefined {
  if (!existsSync("/usr/bin/apt-get")) return undefined;
  const codename = osRelease()["VERSION_CODENAME"];
  const backports = codename === "bookworm" ? "bookworm-backports" : undefined;
  const addSource: Step[] =
    backports && !aptSources().includes(backports)
      ? [
          {
            command: ["tee", `/etc/apt/sources.list.d/${backports}.list`],
            input: `deb http://deb.debian.org/debian ${backports} main\n`,
          },
        ]
      : [];
  const release = backports ? ["-t", backports] : [];
  return [
    ...addSource,
    { command: ["apt-get", "update"] },
    {
      command: ["apt-get", "install", "-y", "--no-install-recommends", ...release, "mesa-vulkan-drivers", "libvulkan1"],
    },
  ];
}

function aptSources(): string {
  const folder = "/etc/apt/sources.list.d";
  return ["/etc/apt/sources.list", ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [])]
    .filter((file) => /\.(list|sources)$/.test(file) && existsSync(file))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
}

function asRoot(command: string[]): string[] {
  const isRoot = process.getuid?.() === 0;
  return isRoot || !existsSync("/usr/bin/sudo") ? command : ["sudo", ...command];
}

/** The variables of /etc/os-release, by name. */
export function osRelease(): Record<string, string> {
  if (!existsSync("/etc/os-release")) return {};
  const lines = readFileSync("/etc/os-release", "utf8").matchAll(/^(\w+)="?(.*?)"?$/gm);
  return Object.fromEntries(Array.from(lines, ([, name = "", value = ""]) => [name, value]));
}
