// The page, built by Vite, in a real browser: Chromium without a window, WebGPU on a CPU driver.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build, preview } from "vite";
import { expect, test } from "vitest";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

/** softmax(x w) as the page computes it, in float64. */
function reference(): number[][] {
  return [0, 1].map((row) => {
    const exps = [0, 1, 2, 3].map((col) =>
      Math.exp([0, 1, 2].reduce((sum, k) => sum + Math.sin(3 * row + k) * Math.cos(4 * k + col), 0)),
    );
    const total = exps.reduce((a, b) => a + b);
    return exps.map((e) => e / total);
  });
}

test.skipIf(!executablePath)(
  "the page computes softmax(x w) as float64 does (needs chromium: apt-get install chromium)",
  async () => {
    const root = fileURLToPath(new URL(".", import.meta.url));
    const outDir = mkdtempSync(join(tmpdir(), "gpugrad-browser-"));
    await build({ root, logLevel: "warn", build: { outDir, emptyOutDir: true } });
    const server = await preview({
      root,
      logLevel: "warn",
      build: { outDir },
      preview: { port: 0, host: "127.0.0.1" },
    });
    const browser = await chromium.launch({
      executablePath: executablePath!,
      args: ["--no-sandbox", "--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader"],
    });
    try {
      const page = await browser.newPage();
      await page.goto(server.resolvedUrls!.local[0]!);
      await page.waitForFunction(() => document.getElementById("result")!.textContent !== "");
      const adapter = await page.textContent("#adapter");
      const text = (await page.textContent("#result")) ?? "";
      expect(text).toMatch(/^\[/); // else it is the error that the page shows
      const result = JSON.parse(text) as number[][];
      for (const [i, row] of reference().entries()) {
        for (const [j, expected] of row.entries()) {
          expect(Math.abs(result[i]![j]! - expected), `y[${i}][${j}] on ${adapter}`).toBeLessThan(1e-6);
        }
      }
    } finally {
      await browser.close();
      await server.close();
      rmSync(outDir, { recursive: true });
    }
  },
);
