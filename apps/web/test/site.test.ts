// The site as built, in a real browser: every page opens without an error, and what computes computes.
import { readdirSync } from "node:fs";
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

  test("every page opens without an error, at 390 pixels too, and nothing is wider than the screen", async () => {
    const { page, errors } = await site.open("index.html", { viewport: { width: 390, height: 800 } });
    const wide: string[] = [];
    for (const path of readdirSync(site.folder, { recursive: true, encoding: "utf8" }).sort()) {
      if (!path.endsWith(".html") || path === "404.html") continue;
      await page.goto(new URL(path, page.url().replace(/(\/sub\/path\/).*/, "$1")).href);
      if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) wide.push(path);
    }
    expect({ errors, wide }).toEqual({ errors: [], wide: [] });
    await page.close();
  });
});
