// The site as built, in a real browser: every page opens without an error, and what computes computes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testExplorers } from "./explore.ts";
import { chromiumPath, openSite, type OpenSite } from "./open-site.ts";
import { testSteppers } from "./step.ts";

describe.skipIf(!chromiumPath)("the site in Chromium (apt-get install chromium)", () => {
  let site: OpenSite;
  beforeAll(async () => void (site = await openSite()));
  afterAll(() => site?.close());

  test("the tape: runs the code, and steps back to the leaves", async () => {
    const { page, errors } = await site.open("tape.html");
    const rows = page.locator(".tape-row");
    await rows.first().waitFor();
    expect(await rows.allInnerTexts()).toEqual([
      "leaf 1 [2, 8]",
      "matmul [4, 8]",
      "leaf 2 [8]",
      "add [4, 8]",
      "tanh [4, 8]",
      "leaf 3 [8, 2]",
      "matmul [4, 2]",
      "crossEntropy []",
    ]);
    for (let i = 0; i < 8; i++) await page.getByRole("button", { name: "Step backward" }).click();
    expect(await page.locator(".tape-row.arrived").count()).toBe(8);

    await page.getByLabel("Example").selectOption("Softmax by hand");
    await page.getByText("The first value that is not a number: exp, row 2.").waitFor();
    await page.getByLabel("Code that returns a loss").fill("return 1");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText("The code returns no tensor.").waitFor();
    expect(errors).toEqual([]);
    await page.close();
  });

  test("the course: puzzles say what is wrong and what is right, and are remembered", async () => {
    const { page, errors } = await site.open("learn/softmax.html");
    const check = page.getByRole("button", { name: "Check" });
    await check.click();
    await page.getByText("With scores near 100: y[0] is NaN").waitFor();
    await page.getByRole("button", { name: "The solution" }).click();
    await check.click();
    await page.getByText("Right, in every trial.").waitFor();
    await page.goto(page.url().replace("softmax", "tiles"));
    await check.click();
    await page.getByText("a tile was read before it was whole").waitFor();
    await page.getByRole("button", { name: "The solution" }).click();
    await check.click();
    await page.getByText("Right, in every order").waitFor();
    await page.goto(page.url().replace("tiles", "memory"));
    await page.getByRole("button", { name: "neighbours read neighbours" }).click();
    await page.getByText("1 line for 32 numbers").waitFor();
    await page.goto(page.url().replace("memory", "index"));
    await page.locator(".course .done").first().waitFor();
    expect(await page.locator(".course .done a").allInnerTexts()).toEqual([
      "Memory comes in lines",
      "Softmax without overflow",
      "Tiles, and two barriers",
    ]);
    expect(errors).toEqual([]);
    await page.close();
  });

  testSteppers(() => site);
  testExplorers(() => site);

  test("the recorded run plays without a GPU", async () => {
    const { page, errors } = await site.open("no-webgpu.html", { reducedMotion: "reduce" });
    await page.locator(".status", { hasText: "Finished at update 750." }).waitFor();
    expect(await page.locator(".play-confusion td.right").count()).toBe(2);
    expect(await page.locator(".play-score").innerText()).toMatch(/^(positive|negative) \d/);
    expect(errors).toEqual([]);
    await page.close();
  });

  test("the landing page takes at most 150 kB, packed", () => {
    const html = readFileSync(join(site.folder, "index.html"), "utf8");
    const files = [...html.matchAll(/<(?:link rel="(?:modulepreload|preload|stylesheet)[^>]*?href|script[^>]*?src)="\/sub\/path\/([^"]+)"/g)]; // prettier-ignore
    expect(files.length).toBeGreaterThan(2);
    const packed = [html, ...files.map(([, file]) => readFileSync(join(site.folder, file!)))].map(
      (content) => gzipSync(content).length,
    );
    expect(packed.reduce((a, b) => a + b)).toBeLessThan(150_000);
  });

  test("every page opens without an error, at 390 pixels too, and nothing is wider than the screen", async () => {
    const { page, errors } = await site.open("index.html", { viewport: { width: 390, height: 800 } });
    const wide: string[] = [];
    for (const path of readdirSync(site.folder, { recursive: true, encoding: "utf8" }).sort()) {
      if (!path.endsWith(".html") || path === "404.html") continue;
      await page.goto(new URL(path, page.url().replace(/(\/sub\/path\/).*/, "$1")).href);
      await settled(page);
      if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) wide.push(path);
    }
    expect({ errors, wide }).toEqual({ errors: [], wide: [] });
    await page.close();
  });

  // Pages that are Markdown alone are all made of the same parts: two represent them.
  test.each(["light", "dark"] as const)(
    "pages that compute, and pages of text, are accessible when %s",
    async (colorScheme) => {
      const { page } = await site.open("index.html", { colorScheme });
      const own = readdirSync(fileURLToPath(new URL("../pages/", import.meta.url)), {
        recursive: true,
        encoding: "utf8",
      });
      const pages = own
        .filter((path) => path.endsWith(".md"))
        .map((path) => path.replace(/\.md$/, ".html"))
        .sort();
      const found: string[] = [];
      const shown = colorScheme === "light" ? pages : pages.filter((path) => !/^learn\/(?!softmax)/.test(path));
      for (const path of [...shown, "training.html", "kernels/softmax.html"]) {
        await page.goto(new URL(path, page.url().replace(/(\/sub\/path\/).*/, "$1")).href);
        found.push(...(await findings(page, path)));
      }
      expect(found).toEqual([]);
      await page.close();
    },
  );
});

/** Waits until a page's islands are there, with what they load. */
async function settled(page: Page): Promise<void> {
  const island = page.locator(".island").first();
  if ((await island.count()) === 0) return;
  await island.locator("> *").first().waitFor({ state: "attached" });
  await page.waitForLoadState("networkidle");
}

/** What axe finds on a page that is serious: which rule, and where first. */
async function findings(page: Page, path: string): Promise<string[]> {
  await settled(page);
  await page.evaluate(axe.source);
  return page.evaluate(async (path) => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({
      resultTypes: ["violations"],
    });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${path}: ${id}: ${nodes.length} times, ${nodes[0]!.html.slice(0, 120)}`);
  }, path);
}
