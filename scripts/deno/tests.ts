// pnpm test:deno [--few] [PART OF A PATH…]: runs the tests of tensor and autograd in Deno, whose WebGPU is wgpu with naga, the
// implementation of Firefox. --few: the forwards and backwards that take a minute together, for CI. Where Deno can't be had, nothing runs.
import { build, type Plugin } from "esbuild";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deno, WITH_GPU, withoutDeno } from "./deno.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Tests of what only Node has: its processes, Dawn, the terminal. */
const OF_NODE = /checks|runtime\/(adapter|platform|tuning)|terminal|subgroup-matrix/;

/** Each op's forward and backward, of the rooms that are quickly through. */
const FEW = /tiny|ops\/(cast|create|dropout|embedding|index|relative|rotary|shape|softmax)\//;

/** Tests import Vitest: in Deno they get its parts that need no Node. */
const vitest: Plugin = {
  name: "vitest",
  setup(build) {
    const resolveDir = realpathSync(join(root, "node_modules/vitest"));
    build.onResolve({ filter: /^vitest$/ }, () => ({ path: join(root, "scripts/deno/vitest.mjs") }));
    build.onResolve({ filter: /^@vitest\// }, ({ path, kind, pluginData }) =>
      pluginData === "inside" ? undefined : build.resolve(path, { kind, resolveDir, pluginData: "inside" }),
    );
  },
};

const args = process.argv.slice(2).filter((arg) => arg !== "--");
const parts = args.filter((arg) => arg !== "--few");
const files = ["packages/tensor/src", "packages/autograd/src"]
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => `${folder}/${String(file)}`))
  .filter((file) => file.endsWith(".test.ts") && !OF_NODE.test(file) && (!args.includes("--few") || FEW.test(file)))
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort();

const problem = withoutDeno();
if (problem) {
  console.log(`Tests in Deno: not run, for Deno can't be had here: ${problem}`);
  console.log("0 passed, 0 failed");
  process.exit(0);
}
const outdir = mkdtempSync(join(tmpdir(), "gpugrad-deno-"));
try {
  const runner = "scripts/deno/run-tests.mjs";
  await build({
    absWorkingDir: root,
    entryPoints: [...files, runner],
    ...{ outdir, outbase: root, bundle: true, splitting: true, format: "esm", platform: "neutral" },
    ...{ mainFields: ["module", "main"], conditions: ["browser"], external: ["node:*"], loader: { ".wgsl": "text" } },
    plugins: [vitest],
    logLevel: "warning",
  });
  const built = [runner, ...files].map((file) => join(outdir, file.replace(/\.m?ts$|\.mjs$/, ".js")));
  const { status } = deno([...WITH_GPU, ...built], "inherit");
  process.exitCode = status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
