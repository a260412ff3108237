import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as ag from "@gpugrad/autograd";
import * as nn from "@gpugrad/nn";
import * as g from "@gpugrad/tensor";
import * as optim from "@gpugrad/train";
import { afterAll, beforeAll, expect, test } from "vitest";

beforeAll(async () => void (await g.init()));
afterAll(g.destroy);

const page = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "../docs/errors.md"), "utf8");
const rows = [...page.matchAll(/^\| `(.+?)` \| (.+) \|$/gm)]
  .map(([, code, message]) => ({ code: code!, message: message!.replaceAll("&lt;", "<").replaceAll("\\|", "|") }))
  .slice(0, -5); // the table of what throws nothing

test("the page has the mistakes", () => expect(rows.length).toBeGreaterThan(100));

/** Whether a message is the page's, where … stands for anything. */
const pattern = (message: string): RegExp =>
  new RegExp(`^${message.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`); // prettier-ignore

test.each(rows)("$code", async ({ code, message }) => {
  const before = g.undisposed();
  await g.scope(async () => {
    const names = {
      ...{ g, ag, nn, optim, x: g.ones([2, 2]), y: g.ones([3, 3]), image: g.ones([1, 2, 8, 8]) },
      ...{ ids: g.tensor([[0, 1], [1, 0]], "i32"), labels: g.tensor([0, 1], "i32"), w: g.ones([3]).requireGrad() }, // prettier-ignore
    };
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the page is ours: its own code, with only what it names in reach
    const run = new Function(...Object.keys(names), `return (${code})`) as (...values: unknown[]) => unknown;
    let error: unknown;
    try {
      await run(...Object.values(names));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(g.GpugradError);
    expect((error as Error).message).toMatch(pattern(message));
  });
  if (!/new nn\.|optim\.SGD/.test(code)) expect(g.undisposed(), "what a refused call leaves behind").toBe(before);
});
