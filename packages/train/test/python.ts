import { spawnSync } from "node:child_process";

const interpreter = process.env["GPUGRAD_PYTHON"] ?? "python3";

/**
 * Runs programs of Python, which get `input` as the JSON of `sys.argv[1]` and print JSON; undefined, saying so, where Python
 * (GPUGRAD_PYTHON, or `python3`) lacks one of `modules`.
 */
export function pythonWith(...modules: string[]) {
  const isThere = (module: string): string =>
    `import importlib.util, sys; sys.exit(importlib.util.find_spec("${module}") is None)`;
  const missing = modules.find((module) => spawnSync(interpreter, ["-c", isThere(module)]).status !== 0);
  if (missing) {
    console.warn(`skipped: ${interpreter} has no ${missing} (set GPUGRAD_PYTHON to one that has)`);
    return undefined;
  }
  return (program: string, input: unknown, env: NodeJS.ProcessEnv = {}): unknown => {
    const { status, stdout, stderr } = spawnSync(interpreter, ["-c", program, JSON.stringify(input)], {
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  };
}
