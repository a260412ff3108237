import { fileURLToPath } from "node:url";
import { destroy, init } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exists, join, list } from "./files.ts";
import { casesOf } from "./ops.ts";
import { optim } from "./optim.ts";
import { idOf, statusOf, type Result } from "./report.ts";

/** The golden data beside the repository, or where GPUGRAD_SHARED says. `pnpm parity` runs all of it; here, what takes seconds. */
const shared = process.env["GPUGRAD_SHARED"] ?? fileURLToPath(new URL("../../../shared", import.meta.url));
const reference = join(shared, "reference");
if (!exists(reference)) console.warn(`skipped: no ${reference} (set GPUGRAD_SHARED to the folder of golden data)`);

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

  for (const file of list(join(reference, "ops"), "json").filter((name) => name !== "index")) {
    test(`ops/${file}`, async () => {
      expect(await failuresOf(casesOf(join(reference, "ops"), file, () => true))).toEqual([]);
    });
  }

  test("optim", async () => {
    expect(await failuresOf(optim(join(reference, "optim"), () => true))).toEqual([]);
  });
});
