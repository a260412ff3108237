import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import axe from "axe-core";
import { chromium, type BrowserContextOptions, type Page } from "playwright-core";
import { preview } from "vite";

export const chromiumPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

export interface OpenSite {
  /** The folder that `pnpm site:build` would have made. */
  folder: string;
  /** Opens a page, such as `tape.html`; what it writes to the console as an error, or throws, is collected in `errors`. */
  open(path: string, options?: BrowserContextOptions): Promise<{ page: Page; errors: string[] }>;
  close(): Promise<void>;
}

/** A folder with the site as it was built before, for whoever changes tests alone: `SITE_BASE=/sub/path/ pnpm site:build` makes one. */
const built = process.env["GPUGRAD_SITE"];

/** Builds the site for a sub-path into a temporary folder, serves it, and starts Chromium with WebGPU on a CPU driver. */
export async function openSite(): Promise<OpenSite> {
  const base = "/sub/path/";
  const folder = built ?? mkdtempSync(join(tmpdir(), "gpugrad-site-"));
  if (!built) await buildSite(base, folder);
  const server = await preview({
    configFile: false,
    logLevel: "warn",
    appType: "mpa",
    base,
    build: { outDir: folder },
    preview: { port: 0, host: "127.0.0.1" },
  });
  const browser = await chromium.launch({
    executablePath: chromiumPath ?? "", // its tests are skipped without one
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader"],
  });
  return {
    folder,
    async open(path, options) {
      const page = await browser.newPage({
        viewport: { width: 1280, height: 800 },
        reducedMotion: "reduce",
        ...options,
      });
      page.setDefaultTimeout(60_000); // shaders are compiled by a CPU
      await page.addInitScript(axe.source);
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(message.text());
      });
      await page.goto(new URL(path, server.resolvedUrls!.local[0]).href);
      return { page, errors };
    },
    async close() {
      await browser.close();
      await server.close();
      if (!built) rmSync(folder, { recursive: true });
    },
  };
}

async function buildSite(base: string, folder: string): Promise<void> {
  const root = fileURLToPath(new URL("../", import.meta.url));
  const vitepress = join(dirname(createRequire(import.meta.url).resolve("vitepress/package.json")), "bin/vitepress.js");
  await promisify(execFile)(process.execPath, [vitepress, "build", root, "--outDir", folder], {
    env: { ...process.env, SITE_BASE: base, NODE_ENV: "production" },
  });
}
