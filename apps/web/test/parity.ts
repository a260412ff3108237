import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileSync } from "node:fs";
import { build } from "esbuild";
import { expect, test } from "vitest";
import type { OpenSite } from "./open-site.ts";
import { runCases } from "./parity-cases.ts";

/** Ops and models in a page compute what they compute in Node, on the same driver. */
export function testParity(site: () => OpenSite): void {
  test("30 ops and two models: a page's numbers are Node's", async () => {
    const { folder } = site();
    await build({
      stdin: { contents: `import { mount } from "./parity-cases.ts"; mount(document.body);`, resolveDir: fileURLToPath(new URL(".", import.meta.url)) }, // prettier-ignore
      ...{ bundle: true, format: "esm", loader: { ".wgsl": "text" }, outfile: join(folder, "parity.js"), logLevel: "error" }, // prettier-ignore
    });
    writeFileSync(
      join(folder, "parity.html"),
      `<!doctype html><html lang="en"><meta charset="utf-8" /><title>parity</title><link rel="icon" href="data:," />
       <body></body><script type="module" src="parity.js"></script></html>`,
    );
    const { page, errors } = await site().open("parity.html");
    const inNode = runCases(); // beside the page
    await page.waitForFunction(() => document.body.textContent.trim() !== "");
    const text = (await page.textContent("body"))!;
    expect(text).toMatch(/^\{/); // else it is the error that the page shows
    const theirs = JSON.parse(text) as Record<string, number[]>;
    expect(errors).toEqual([]);
    await page.close();
    const ours = await inNode;
    expect(Object.keys(theirs)).toEqual(Object.keys(ours));
    expect(Object.keys(ours)).toHaveLength(32);
    for (const [name, values] of Object.entries(ours)) {
      expect(theirs[name]!.length, name).toBe(values.length);
      values.forEach((value, i) => {
        const other = theirs[name]![i]!;
        const isClose = Math.abs(value - other) <= 1e-6 + 1e-5 * Math.abs(value);
        expect(isClose, `${name}, number ${i}: ${other} in the page, ${value} in Node`).toBe(true);
      });
    }
  });
}
