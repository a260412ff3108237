import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import "@gpugrad/autograd";
import * as nn from "@gpugrad/nn";
import * as g from "@gpugrad/tensor";
import * as optim from "@gpugrad/train";
import { afterAll, beforeAll, expect, test } from "vitest";

beforeAll(async () => void (await g.init()));
afterAll(g.destroy);

const page = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "../docs/from-pytorch.md"), "utf8");
const [, ops] = page.split("## Ops") as [string, string];
const entries = ops
  .split("## ")[0]!
  .split("\n")
  .filter((line) => line.startsWith("| `") || line.startsWith("| torch"))
  .flatMap((line) =>
    [
      ...line
        .split(" | ")
        .at(-1)!
        .matchAll(/`([^`]*\([^`]*)`/g),
    ].map(([, code]) => code!),
  );

test("the page has entries", () => expect(entries.length).toBeGreaterThan(35));

test.each(entries)("%s", async (code) => {
  await g.scope(async () => {
    const x = g.tensor([[1, -2, 3], [0.5, 4, -1]]); // prettier-ignore
    const names = { g, nn, optim, x, image: g.randn([1, 2, 8, 8]), ids: g.tensor([[0, 2, 1], [1, 0, 2]], "i32"), mask: x.gt(0) }; // prettier-ignore
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the page is ours: its own code, with only what it names in reach
    const run = new Function(...Object.keys(names), `return (${code})`) as (...values: unknown[]) => unknown;
    const made = await run(...Object.values(names));
    expect(made).toBeDefined();
    if (made instanceof g.Tensor) await made.data();
  });
});
