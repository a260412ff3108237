// The site as built, in a real browser: every page opens without an error and can be used by everybody, and what computes computes. One file, for
// one build and one browser.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Audit } from "./audit.ts";
import { testExplorers } from "./explore.ts";
import { testLearning } from "./learn.ts";
import { chromiumPath, openSite, type OpenSite } from "./open-site.ts";
import { testParity } from "./parity.ts";
import { testPlayground } from "./play.ts";
import { testSteppers } from "./step.ts";

describe.skipIf(!chromiumPath)("the site in Chromium (apt-get install chromium)", () => {
  let site: OpenSite;
  const audit = new Audit();
  beforeAll(async () => {
    vi.stubEnv("GPUGRAD_ADAPTER", "swiftshader"); // what the page has, too
    site = await openSite();
  });
  afterAll(() => site?.close());

  testSteppers(() => site, audit);
  testLearning(() => site, audit);
  testExplorers(() => site, audit);
  testPlayground(() => site, audit);
  testParity(() => site);

  test("the recorded run plays without a GPU", async () => {
    const { page, errors } = await site.open("no-webgpu.html");
    await page.locator(".status", { hasText: "Finished at update 750." }).waitFor();
    expect(await page.locator(".play-confusion td.right").count()).toBe(2);
    expect(await page.locator(".play-score").innerText()).toMatch(/^(positive|negative) \d/);
    await audit.look(page);
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

  test("every page opens without an error; nothing is wider than the screen, and nothing is hard to use", async () => {
    const pages = readdirSync(site.folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".html") && !/^(404|parity)\.html$/.test(path)); // prettier-ignore
    const { page, errors } = await site.open("index.html");
    for (const path of pages.sort()) {
      if (audit.seen.has(path)) continue;
      await follow(page, path);
      await audit.look(page);
    }
    expect([...audit.seen].sort()).toEqual(pages);
    expect({ errors, findings: audit.findings }).toEqual({ errors: [], findings: [] });
    await page.close();
  });
});

/** Goes to a page as by a link, which loads only what is new in it. */
async function follow(page: Page, path: string): Promise<void> {
  const { pathname } = new URL(path.replace(/(^|\/)index\.html$/, "$1"), page.url().replace(/(\/sub\/path\/).*/, "$1"));
  await page.evaluate((href) => {
    const link = Object.assign(document.createElement("a"), { href });
    document.body.append(link);
    link.click();
    link.remove();
  }, pathname);
  const name = pathname.replace(/[./]+/g, "_").replace(/_html$/, ""); // as VitePress marks a page's text
  await page.locator(path === "index.html" ? ".VPHome" : `.vp-doc.${name}`).waitFor({ state: "attached" });
  await page.locator("[data-state=loading]").first().waitFor({ state: "detached" });
}
