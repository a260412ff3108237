// pnpm runtimes [--tarballs FOLDER] [PART OF A NAME…]: installs the packed tarballs outside of this repository and trains twenty steps on each runtime, in a page of
// each bundler, and in a worker; and type-checks a consumer with each TypeScript. Prints a table. Takes minutes, and the npm registry;
// --tarballs takes what `pnpm pack` made before.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { inPage } from "./page.ts";
import { consumer, program } from "./programs.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const exec = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "gpugrad-runtimes-"));

/** Runs a command of npm in a project, and gives what it wrote. */
async function npx(project: string, packages: string, ...command: string[]): Promise<string> {
  const { stdout } = await exec("npx", ["-y", ...packages.split(" ").flatMap((name) => ["-p", name]), ...command], {
    cwd: project,
    timeout: 300_000,
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

/** A project with these dependencies beside the tarballs. */
async function project(name: string, ...dependencies: string[]): Promise<string> {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
  const tarballs = readdirSync(folder).filter((file) => file.endsWith(".tgz") && !/^gpugrad-\d/.test(file));
  const files = tarballs.map((file) => join("..", file));
  await exec("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...files, ...dependencies], {
    cwd: path,
  });
  writeFileSync(join(path, "program.mjs"), program("import"));
  writeFileSync(join(path, "program.cjs"), program("require"));
  return path;
}

/** The losses of the first and the last step, which are the same everywhere but for rounding. */
function losses(output: string): string {
  const [first = NaN, last = NaN] = (/^losses (.*)$/m.exec(output)?.[1] ?? "").split(" ").map(Number);
  if (!(Math.abs(first - 0.8) < 0.3 && last < first - 0.01)) throw new Error(`did not learn: ${output.trim()}`);
  return `${first.toFixed(4)} → ${last.toFixed(4)}`;
}

const version = async (path: string, packages: string, command: string) =>
  /\d+\.\d+\.\d+\S*/.exec(await npx(path, packages, command, "--version"))?.[0] ?? "?";

/** What is tried: gives version and result, or throws. */
const attempts: Record<string, () => Promise<[version: string, result: string]>> = {};

for (const major of [20, 22, 24])
  for (const kind of ["import", "require"])
    attempts[`Node ${major}, ${kind}`] = async () => {
      const file = kind === "import" ? "program.mjs" : "program.cjs";
      const output = await npx(node, `node@${major}`, "node", file);
      return [await version(node, `node@${major}`, "node"), losses(output)];
    };
attempts["Deno, its own WebGPU"] = async () => [
  await version(plain, "deno@2", "deno"),
  losses(await npx(plain, "deno@2", "deno", "run", "-A", "--unstable-webgpu", "program.mjs")),
];
attempts["Bun, package webgpu"] = async () => [
  await version(node, "bun@1", "bun"),
  losses(await npx(node, "bun@1", "bun", "program.mjs")),
];
for (const bundler of ["Vite", "webpack", "esbuild", "rollup", "Vite, in a worker"] as const)
  attempts[`Chromium, ${bundler}`] = async () => {
    const { version, output } = await inPage(page, bundler);
    return [version, losses(output)];
  };
for (const name of ["typescript@5.9", "typescript@6", "typescript@7"])
  for (const skipLibCheck of [true, false])
    attempts[`${name}, strict${skipLibCheck ? "" : ", without skipLibCheck"}`] = async () => {
      writeFileSync(join(page, "consumer.ts"), consumer);
      const compilerOptions = {
        ...{ strict: true, noEmit: true, skipLibCheck, target: "ES2022", module: "NodeNext", types: [] },
        lib: ["ES2023", "ESNext.Disposable", "DOM", "DOM.Iterable"],
      };
      writeFileSync(join(page, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
      await npx(page, name, "tsc", "-p", ".");
      return [await version(page, name, "tsc"), "no errors"];
    };

const { values, positionals } = parseArgs({ options: { tarballs: { type: "string" } }, allowPositionals: true });
const wanted = Object.entries(attempts).filter(
  ([name]) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);
let failures = 0;
let [node, plain, page] = ["", "", ""];
try {
  if (values.tarballs) cpSync(values.tarballs, folder, { recursive: true });
  else
    for (const name of ["tensor", "autograd", "nn", "bert", "train"])
      await exec("npx", ["-y", "pnpm@10", "pack", "--pack-destination", folder], { cwd: join(root, "packages", name) });
  const needs = (pattern: RegExp) => wanted.some(([name]) => pattern.test(name));
  if (needs(/^Node|^Bun/)) node = await project("node", "webgpu@0.6.2");
  if (needs(/^Deno/)) plain = await project("plain");
  if (needs(/^Chromium|typescript/)) page = await project("page", "vite@7", "webpack@5", "esbuild", "rollup", "@rollup/plugin-node-resolve", "@rollup/plugin-commonjs"); // prettier-ignore
  console.log("| runtime | version | first and last loss of 20 steps |\n|---|---|---|");
  for (const [name, attempt] of wanted) {
    try {
      console.log(`| ${name} | ${(await attempt()).join(" | ")} |`);
    } catch (error) {
      failures++;
      const { message, stdout = "", stderr = "" } = error as Error & { stdout?: string; stderr?: string };
      const said = `${stdout}\n${stderr}`.trim() || message;
      console.log(`| ${name} | | failed: ${said.split("\n").slice(0, 3).join(" ").slice(0, 300)} |`);
      console.error(said.slice(0, 3000));
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failures > 0 ? 1 : 0);
