// node scripts/run.mjs FILE.ts [arguments]: installs what is missing, then runs a TypeScript program of this
// repository from its sources. tsx strips the types; text-loader.mjs makes `import code from "./x.wgsl"` a string, and "./x.css?raw".
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { pathToFileURL } from "node:url";
import { ensureInstalled, root } from "./setup.mjs";

ensureInstalled();
const [program, ...args] = process.argv.slice(2);
const loaders = ["--import", "tsx", "--import", pathToFileURL(join(root, "scripts/text-loader.mjs")).href];
const tsxHome = pathToFileURL(join(root, "package.json")).href; // resolve tsx from the repository, not from the caller's folder
loaders[1] = import.meta.resolve("tsx", tsxHome);
// MPICH's launcher talks with its processes through this one.
const pmi = Number(process.env.PMI_FD ?? 0);
const child = spawn(
  process.execPath,
  [...loaders, "--disable-warning=ExperimentalWarning", join(root, program), ...args],
  {
    stdio: Array.from({ length: Math.max(3, pmi + 1) }, (_, fd) => (fd < 3 || fd === pmi ? fd : "ignore")),
  },
);
// A signal may come to us alone, or (Ctrl-C) to the whole process group: the program decides what to do, and we wait for it.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
// pnpm that is asked to end ends the shell between us, and not us: then our parent is another.
if (process.env.npm_lifecycle_event) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, 500);
  watch.unref();
}
child.on("exit", (code, signal) => {
  if (signal) console.error(`${program} ended by ${signal}`);
  process.exitCode = code ?? 128 + constants.signals[signal];
});
