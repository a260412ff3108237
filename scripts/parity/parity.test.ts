import { fileURLToPath } from "node:url";
import { destroy, init } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exists, join, list, readJson } from "./files.ts";
import { casesOf } from "./ops.ts";
import { optim } from "./optim.ts";
import { idOf, statusOf, type Result } from "./report.ts";

/** The golden data beside the repository, or where GPUGRAD_SHARED says. `pnpm parity` runs all of it; here, what takes seconds. */
const shared = process.env["GPUGRAD_SHARED"] ?? fileURLToPath(new URL("../../../shared", import.meta.url));
const reference = join(shared, "reference");
if (!exists(reference)) console.warn(`skipped: no ${reference} (set GPUGRAD_SHARED to the folder of golden data)`);

const CASES_PER_TEST = 12;

async function failuresOf(results: AsyncGenerator<Result>): Promise<object[]> {
  const failures: object[] = [];
  for await (const result of results) {
    if (statusOf(result) === "passed" || statusOf(result) === "not_promised") continue;
    failures.push({ case: idOf(result), ...result, checks: result.checks.filter((c) => !(c.share <= 1)) });
  }
  return failures;
}

describe.skipIf(!exists(reference))("golden values", () => {
  beforeAll(async () => void (await init()));
  afterAll(destroy);

  const ops = join(reference, "ops");
  for (const file of list(ops, "json").filter((name) => name !== "index")) {
    const { cases } = readJson<{ cases: { name: string }[] }>(join(ops, `${file}.json`));
    // A driver that has compiled nothing yet takes up to a second for each new kernel.
    for (let first = 0; first < cases.length; first += CASES_PER_TEST) {
      const ids = cases.slice(first, first + CASES_PER_TEST).map(({ name }) => `ops/${file}/${name}`);
      test(`ops/${file} ${first + 1} to ${first + ids.length}`, async () => {
        expect(await failuresOf(casesOf(ops, file, (id) => ids.includes(id)))).toEqual([]);
      });
    }
  }

  test("optim", async () => {
    expect(await failuresOf(optim(join(reference, "optim"), () => true))).toEqual([]);
  });
});
