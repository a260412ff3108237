import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { OpenSite } from "./open-site.ts";

/** What each page offers on SwiftShader, at least: rungs that are timed. */
const RUNGS = {
  matmul: 4,
  softmax: 3,
  "layer-norm": 3,
  gelu: 2,
  attention: 3,
  "cross-entropy": 1,
  embedding: 1,
  adamw: 2,
};

/** Runs the ladder of the page, and gives its rows: name and cells. */
async function runLadder(page: Page): Promise<string[][]> {
  const status = page.locator("[data-island=explore] > .status");
  await page.getByRole("button", { name: "Run on this machine" }).click();
  await status.filter({ hasText: /at most .* GFLOP\/s in registers/ }).waitFor();
  const rows = await page.locator("[aria-label='The ladder'] tbody tr").all();
  return Promise.all(rows.map((row) => row.locator("th .explore-rung, td").allInnerTexts()));
}

/** The pages that time ladders. */
export function testExplorers(site: () => OpenSite): void {
  test("every ladder: each rung passes its check and is timed", async () => {
    const { page, errors } = await site().open("explore/softmax.html");
    page.setDefaultTimeout(60_000);
    for (const [op, least] of Object.entries(RUNGS)) {
      await page.goto(page.url().replace(/explore\/.*/, `explore/${op}.html`));
      const rows = await runLadder(page);
      expect(await page.locator("[aria-label='The ladder'] .wrong").allInnerTexts(), op).toEqual([]);
      const timed = rows.filter(([, ms]) => Number(ms) > 0);
      expect(timed.length, `${op}: ${JSON.stringify(rows)}`).toBeGreaterThanOrEqual(least);
      for (const [name, , , , share] of timed) expect(share, `${op}, ${name}`).toMatch(/^\d+ %$/);
    }
    expect(errors).toEqual([]);
    await page.close();
  });

  test("a source can be edited: errors at their line, wrong results, wrong settings, and back", async () => {
    const { page, errors } = await site().open("explore/softmax.html");
    page.setDefaultTimeout(60_000);
    const source = page.getByLabel("WGSL source");
    const run = page.getByRole("button", { name: "Run this source" });
    await page.getByRole("button", { name: "softmax-workgroup.wgsl" }).first().click();
    const shipped = await source.inputValue();
    const at = shipped.split("\n").findIndex((line) => line.includes("let row = "));
    await source.fill(shipped.replace("let row = ", "let row == "));
    await run.click();
    await page.getByText("It doesn't compile.").waitFor();
    await page
      .getByText(`line ${at + 1}:`)
      .first()
      .waitFor();
    expect(await page.locator(".editor .error").innerText()).toContain("let row == ");

    await source.fill(shipped.replace("for (var half = SIZE / 2u;", "for (var half = SIZE / 4u;"));
    await run.click();
    await page.getByText(/^wrong result: element/).waitFor();

    await page.getByRole("button", { name: "As it ships" }).click();
    expect(await source.inputValue()).toBe(shipped);
    await page.getByLabel(/^SIZE: /).fill("0");
    expect(await source.inputValue()).toContain("override SIZE: u32 = 1;");
    await source.fill(shipped.replace(/override SIZE: u32 = \d+/, "override SIZE: u32 = 96"));
    await page.locator(".explore-rules .broken", { hasText: "SIZE is a power of two" }).waitFor();

    await page.getByRole("button", { name: "As it ships" }).click();
    await run.click();
    await page.getByText(/^Right\. /).waitFor(); // the device has survived all that
    expect(errors).toEqual([]);
    await page.close();
  });
}
