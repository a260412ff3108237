import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium, type BrowserContextOptions, type Page } from "playwright-core";
import { build, preview } from "vite";
import { wgsl } from "../../../scripts/vite-wgsl.ts";

export const chromiumPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

const root = fileURLToPath(new URL("../", import.meta.url));

export interface OpenSite {
  /** The folder that `pnpm site:build` would have made. */
  folder: string;
  /** Opens a page, such as `tape.html`; what it writes to the console as an error, or throws, is collected in `errors`. */
  open(path: string, options?: BrowserContextOptions): Promise<{ page: Page; errors: string[] }>;
  close(): Promise<void>;
}

/** Builds the site for a sub-path into a temporary folder, serves it, and starts Chromium with WebGPU on a CPU driver. */
export async function openSite(): Promise<OpenSite> {
  const base = "/sub/path/";
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-site-"));
  const vitepress = join(dirname(createRequire(import.meta.url).resolve("vitepress/package.json")), "bin/vitepress.js");
  await promisify(execFile)(process.execPath, [vitepress, "build", root, "--outDir", folder], {
    env: { ...process.env, SITE_BASE: base, NODE_ENV: "production" },
  });
  return serve(folder, base);
}

/** The same with one page that has nothing but an island, `index.html`: without VitePress, which takes half a minute. */
export async function openIsland(module: string): Promise<OpenSite> {
  const source = mkdtempSync(join(tmpdir(), "gpugrad-island-"));
  const folder = join(source, "dist");
  writeFileSync(
    join(source, "index.html"),
    `<!doctype html><html lang="en"><meta charset="utf-8" /><title>island</title><link rel="icon" href="data:," />
     <div id="island" class="island"></div><script type="module" src="/main.ts"></script></html>`,
  );
  writeFileSync(
    join(source, "main.ts"),
    `import { mount } from ${JSON.stringify(join(root, "src", module))};
     mount(document.getElementById("island"));`,
  );
  await build({
    ...{ configFile: false, root: source, logLevel: "warn", plugins: [wgsl] },
    worker: { format: "es", plugins: () => [wgsl] },
    build: { outDir: folder, target: "es2022", minify: false },
  });
  return serve(folder, "/");
}

async function serve(folder: string, base: string): Promise<OpenSite> {
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
      const page = await browser.newPage(options);
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
      rmSync(folder, { recursive: true });
    },
  };
}
