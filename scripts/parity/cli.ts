import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { destroy, device, init } from "@gpugrad/tensor";
import { ops } from "./ops.ts";
import { opsMore } from "./ops-more.ts";
import { python } from "./python.ts";
import { minilm } from "./minilm.ts";
import { models } from "./models.ts";
import { modelsMore } from "./models-more.ts";
import { optim } from "./optim.ts";
import { taskRuns } from "./task-runs.ts";
import { tasks } from "./tasks.ts";
import { tokenizers } from "./tokenizers.ts";
import { train } from "./train.ts";
import { idOf, statusOf, toJson, toText, type Result } from "./report.ts";

const usage = `pnpm parity [--reference DIR] [--only REGEX] [--json FILE] [--python]

Runs every golden case found under DIR (../shared/reference unless said otherwise) and compares with what PyTorch,
Transformers and scikit-learn computed. Prints a table per group; exits 1 if a case fails, 2 for wrong usage.

  --only REGEX   cases whose name matches, such as ops/softmax/ or models/bert-model
  --json FILE    the report as JSON as well
  --python       let Python open what is saved here, and the other way round: models, tokenizers, adapters,
                 sentence embeddings (GPUGRAD_PYTHON, or python3)`;

/** The groups, each with its folder under DIR: another one is a line here and a file beside this one. */
const groups = {
  ...{ "ops-more": opsMore, "optim-more": optim, "models-more": modelsMore },
  ...{ ops, optim, models, tokenizers, train, tasks, "task-runs": taskRuns, minilm },
};

async function main(): Promise<number> {
  let options: { reference?: string; only?: string; json?: string; python?: boolean; help?: boolean };
  let only: RegExp;
  try {
    const text = { type: "string" } as const;
    const flag = { type: "boolean" } as const;
    options = parseArgs({ options: { reference: text, only: text, json: text, python: flag, help: flag } }).values;
    only = new RegExp(options.only ?? "");
  } catch (error) {
    console.error(`parity: ${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const reference = resolve(options.reference ?? join(root, "../shared/reference"));
  if (!existsSync(reference)) {
    console.error(`parity: there is no ${reference}. --reference DIR names a folder of golden cases.`);
    return 2;
  }

  const results: Result[] = [];
  await init();
  const wanted = (id: string): boolean => only.test(id);
  const runs = Object.entries(groups).map(
    ([name, cases]) =>
      () =>
        cases(join(reference, name), wanted),
  );
  if (options.python) runs.push(() => python(reference, wanted));
  try {
    for (const run of runs) {
      for await (const result of run()) {
        results.push(result);
        if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${results.length} ${idOf(result)}`);
      }
    }
  } finally {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }
  const adapter = device().adapter.description;
  await destroy();
  if (results.length === 0) {
    console.error(`parity: no case under ${reference} matches ${only.source}.`);
    return 2;
  }
  console.log(toText(results));
  console.error(`on ${adapter}`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(toJson(results, adapter), null, 1)}\n`);
  return results.some((r) => statusOf(r) === "failed") ? 1 : 0;
}

process.exitCode = await main();
