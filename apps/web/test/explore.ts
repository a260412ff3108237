import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { Audit } from "./audit.ts";
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
export function testExplorers(site: () => OpenSite, audit: Audit): void {
  test("every ladder: each rung passes its check and is timed", async () => {
    const { page, errors } = await site().open("explore/softmax.html");
    for (const [op, least] of Object.entries(RUNGS)) {
      if (!page.url().includes(`/${op}.html`)) await page.goto(page.url().replace(/explore\/.*/, `explore/${op}.html`));
      const rows = await runLadder(page);
      expect(await page.locator("[aria-label='The ladder'] .wrong").allInnerTexts(), op).toEqual([]);
      const timed = rows.filter(([, ms]) => Number(ms) > 0);
      expect(timed.length, `${op}: ${JSON.stringify(rows)}`).toBeGreaterThanOrEqual(least);
      for (const [name, ...cells] of timed) expect(cells.at(-2), `${op}, ${name}`).toMatch(/^\d+ %$/);
      if (op === "softmax") {
        await editSource(page); // with kernels that are compiled by now
        await pointAndTune(page);
      }
      await audit.look(page);
    }
    expect(errors).toEqual([]);
    await page.close();
  });
}

/** A source can be edited: errors at their line, wrong results, wrong settings, and back. */
async function editSource(page: Page): Promise<void> {
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
}

/** Comments and drawing point at each other, source and sliders too; and a setting changes what the host makes of it. */
async function pointAndTune(page: Page): Promise<void> {
  const source = page.getByLabel("WGSL source");
  const swaps = page.getByRole("button", { name: "swaps", exact: true });
  const part = page.locator(".explore-drawing g[data-part=swaps]");
  await page.getByRole("button", { name: "softmax-subgroup.wgsl" }).first().click();
  await swaps.click();
  expect(await part.getAttribute("class")).toBe("on");
  expect(await page.locator(".editor .now").innerText()).toContain("swap registers");
  await page.locator(".explore-drawing g[data-part=registers] text").first().click();
  expect(await page.getByRole("button", { name: "registers", exact: true }).getAttribute("aria-pressed")).toBe("true");
  await source.focus();
  const at = (await source.inputValue()).indexOf("swaps, each of");
  await source.evaluate((area: HTMLTextAreaElement, at) => area.setSelectionRange(at, at), at);
  await source.press("ArrowRight");
  expect(await part.getAttribute("class")).toBe("on");
  await source.evaluate((area: HTMLTextAreaElement) => area.setSelectionRange(...(Array(2).fill(area.value.indexOf("override TEAM")) as [number, number]))); // prettier-ignore
  await source.press("ArrowRight");
  expect(await page.locator(".explore-settings .here code").innerText()).toBe("TEAM");

  await page.getByRole("button", { name: "softmax-rows.wgsl" }).first().click();
  const groups = page.locator(".explore-rules li", { hasText: "workgroups for these sizes" });
  expect(await groups.innerText()).toBe("✓ 32 workgroups for these sizes");
  await page.getByLabel(/^ROWS_PER_GROUP: /).press("ArrowRight");
  expect(await groups.innerText()).toBe("✓ 16 workgroups for these sizes");
  await page.getByRole("button", { name: "Run this source" }).click();
  await page.getByText(/^Right\. /).waitFor();
}
