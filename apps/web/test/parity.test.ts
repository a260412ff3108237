// Ops and models in a page compute what they compute in Node, on the same driver.
import { expect, test } from "vitest";
import { chromiumPath, openIsland } from "./open-site.ts";
import { runCases } from "./parity-cases.ts";

test.skipIf(!chromiumPath)(
  "30 ops and two models: a page's numbers are Node's (apt-get install chromium)",
  async () => {
    const site = await openIsland("../test/parity-cases.ts");
    try {
      const { page, errors } = await site.open("index.html");
      await page.waitForFunction(() => document.getElementById("island")!.textContent !== "");
      const text = (await page.textContent("#island"))!;
      expect(text).toMatch(/^\{/); // else it is the error that the page shows
      const theirs = JSON.parse(text) as Record<string, number[]>;
      expect(errors).toEqual([]);
      process.env["GPUGRAD_ADAPTER"] = "swiftshader";
      const ours = await runCases();
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
    } finally {
      await site.close();
    }
  },
);
