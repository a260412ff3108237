import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";

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
  return async (program: string, input: unknown, env: NodeJS.ProcessEnv = {}): Promise<unknown> => {
    const args = ["-c", program, JSON.stringify(input)];
    const { stdout } = await promisify(execFile)(interpreter, args, { env: { ...process.env, ...env } });
    return JSON.parse(stdout);
  };
}
