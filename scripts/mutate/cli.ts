// pnpm mutate: changes the code a little, one place at a time, and counts which changes a test notices.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { formatTable } from "@gpugrad/train";
import { wholeNumber } from "../../packages/gpugrad/src/text/texts.ts";
import { splitMix64 } from "../../packages/train/src/random.ts";
import { copyOfTheTree, testsOf } from "./copy.ts";
import { statementsIn, type Place } from "./statements.ts";
import { mutateTypeScript } from "./stryker.ts";
import { slipsIn, trySlips, type Slip } from "./wgsl.ts";

/** One change, and whether a test noticed it. */
export interface Outcome {
  file: string;
  line: number;
  /** What was written, and what was put in its place. */
  change: string;
  noticed: boolean;
  /** The test that failed first, or another reason for what became of the change. */
  why?: string | undefined;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const PACKAGES = ["tensor", "autograd", "nn", "bert", "train"];

async function main(): Promise<number> {
  const program = new Command("mutate")
    .description(
      "Changes the code a little, one place at a time, in a copy of the tree, and runs the tests of its package: TypeScript with StrykerJS, " +
        "WGSL with a list of slips (scripts/mutate/wgsl.ts). Prints each change and whether a test noticed it, and the score of each package.",
    )
    .argument("[paths...]", `files or folders; default packages/{${PACKAGES.join(",")}}/src`)
    .option("--places <n>", "places of each package and language, picked by the seed", wholeNumber(1), 30)
    .option("--seed <n>", "the same seed picks the same places", wholeNumber(1), 1)
    .option("--only <language>", "ts or wgsl")
    .option("--all-tests", "changes of TypeScript meet all tests of the package, not only those beside the code: hours")
    .parse();
  const { places, seed, only, allTests } = program.opts<{
    places: number;
    seed: number;
    only?: string;
    allTests?: boolean;
  }>();
  const paths = program.args.length > 0 ? program.args : PACKAGES.map((name) => `packages/${name}/src`);

  const files = sourcesBelow(paths);
  if (files.length === 0) program.error(`mutate: no sources below ${paths.join(", ")}.`);
  process.env["GPUGRAD_SHARED"] ??= join(root, "../shared"); // golden data beside the tree, not beside its copy
  const copy = copyOfTheTree(root, { stryker: only !== "wgsl" });
  const rows = [["package", "language", "changes", "noticed", "score"]];
  try {
    for (const name of [...new Set(files.map((file) => file.split("/")[1]!))]) {
      const own = files.filter((file) => file.startsWith(`packages/${name}/`));
      const sample = <T>(all: T[]): T[] => shuffled(all, seed).slice(0, places);
      let count: Record<"changes" | "noticed", number>;
      const report = ({ file, line, change, noticed, why }: Outcome): void => {
        count.changes++;
        if (noticed) count.noticed++;
        console.log(`${noticed ? "noticed " : "SURVIVED"} ${file}:${line}: ${change}${why ? ` (${why})` : ""}`);
      };
      const score = async (language: string, tryAll: () => Promise<void>): Promise<void> => {
        count = { changes: 0, noticed: 0 };
        await tryAll();
        const { changes, noticed } = count;
        if (changes > 0)
          rows.push([name, language, String(changes), String(noticed), `${((100 * noticed) / changes).toFixed(1)} %`]);
      };
      if (only !== "wgsl") {
        const all: Place[] = own.filter((file) => file.endsWith(".ts")).flatMap((file) => statementsIn(root, file));
        const picked = sample(all);
        const tests = allTests
          ? [`packages/${name}/{src,test}/**/*.test.ts`]
          : [...new Set(picked.flatMap(({ file }) => testsOf(copy, file)))];
        await score("TypeScript", () => mutateTypeScript(copy, picked, tests, report));
      }
      if (only !== "ts") {
        const all: Slip[] = own.filter((file) => file.endsWith(".wgsl")).flatMap((file) => slipsIn(root, file));
        await score("WGSL", () => trySlips(copy, sample(all), report));
      }
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  console.log(formatTable(rows));
  return 0;
}

/** Sources that are published, by git: no tests, benches or references. */
function sourcesBelow(paths: readonly string[]): string[] {
  const wanted = paths.map((path) => relative(root, resolve(path)));
  const { stdout } = spawnSync("git", ["ls-files", "--", ...wanted], { cwd: root, encoding: "utf8" });
  return stdout
    .split("\n")
    .filter((file) => /^packages\/[^/]+\/src\/.*\.(ts|wgsl)$/.test(file))
    .filter((file) => !/\.(test|bench|reference|d)\.ts$|\/testing\/|\/index\.ts$/.test(file));
}

function shuffled<T>(all: T[], seed: number): T[] {
  const random = splitMix64(seed);
  return all.map((value) => ({ value, at: random.uniform() })).sort((a, b) => a.at - b.at).map(({ value }) => value); // prettier-ignore
}

process.exitCode = await main();
