import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { program } from "./programs.ts";

const exec = promisify(execFile);
export const path = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

type Bundler = "Vite" | "webpack" | "esbuild" | "rollup" | "Vite, in a worker";

/** How each makes dist/NAME/main.js of main.js, as its user would. */
const builds: Record<Bundler, { name: string; config?: Record<string, string>; args: (out: string) => string[] }> = {
  Vite: {
    name: "vite",
    config: { "vite.main.mjs": viteConfig("main.js") },
    args: (out) => ["build", "--config", "vite.main.mjs", "--outDir", out],
  },
  "Vite, in a worker": {
    name: "vite",
    config: { "vite.worker.mjs": viteConfig("in-worker.js") },
    args: (out) => ["build", "--config", "vite.worker.mjs", "--outDir", out],
  },
  webpack: {
    name: "webpack",
    config: {
      "build-webpack.mjs": `import webpack from "webpack";
        webpack({ entry: "./main.js", mode: "production", output: { path: process.argv[2], filename: "main.js" } }, (error, stats) => {
          if (error ?? stats.hasErrors()) { console.error(error ?? stats.toString()); process.exit(1); }
        });`,
    },
    args: (out) => [out],
  },
  esbuild: {
    name: "esbuild",
    args: (out) => [
      "main.js",
      "--bundle",
      "--minify",
      "--splitting",
      "--format=esm",
      "--target=esnext",
      `--outdir=${out}`,
    ],
  },
  rollup: {
    name: "rollup",
    config: {
      "rollup.config.mjs": `import resolve from "@rollup/plugin-node-resolve";
        import commonjs from "@rollup/plugin-commonjs";
        export default { input: "main.js", plugins: [resolve({ browser: true }), commonjs()] };`,
    },
    args: (out) => ["--config", "rollup.config.mjs", "--dir", out],
  },
};

function viteConfig(input: string): string {
  const output = `{ entryFileNames: "main.js" }`;
  return `export default { base: "./", worker: { format: "es" }, build: { target: "esnext", rollupOptions: { input: "${input}", output: ${output} } } };`;
}

/** Bundles the program, opens it in Chromium on SwiftShader, and gives what it reports. */
export async function inPage(project: string, bundler: Bundler): Promise<{ version: string; output: string }> {
  if (!path) throw new Error("there is no Chromium here");
  const { name, config = {}, args } = builds[bundler];
  const report = `globalThis.report = (text) => (document.title = text);`;
  const files = {
    "main.js": `import "./report.js";\n${program("import")}`,
    "report.js": report,
    "worker.js": `globalThis.report = (text) => postMessage(text);\nawait import("./program.mjs");`,
    "in-worker.js": `new Worker(new URL("./worker.js", import.meta.url), { type: "module" }).onmessage = ({ data }) => (document.title = data);`,
    ...config,
  };
  for (const [file, text] of Object.entries(files)) writeFileSync(join(project, file), text);
  const out = join(project, "dist", bundler.replace(/\W+/g, "-"));
  mkdirSync(out, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(project, "node_modules", name, "package.json"), "utf8")) as {
    version: string;
    bin: Record<string, string>;
  };
  const script = name === "webpack" ? "build-webpack.mjs" : join("node_modules", name, manifest.bin[name]!);
  const command = name === "esbuild" ? [join(project, script)] : [process.execPath, join(project, script)];
  await exec(command[0]!, [...command.slice(1), ...args(out)], { cwd: project, maxBuffer: 2 ** 26 });
  return { version: `${name} ${manifest.version}`, output: await titleOf(out) };
}

/** Opens main.js of a folder in Chromium on SwiftShader, and gives the title that it sets. */
export async function titleOf(folder: string): Promise<string> {
  const server = createServer(({ url = "/" }, response) => {
    if (url === "/") return response.setHeader("Content-Type", "text/html").end(`<!doctype html><title></title><script type="module" src="./main.js"></script>`); // prettier-ignore
    const file = join(folder, url);
    if (!existsSync(file)) return response.writeHead(404).end();
    return response.setHeader("Content-Type", "text/javascript").end(readFileSync(file));
  }).listen(0, "127.0.0.1");
  const browser = await chromium.launch({
    executablePath: path!,
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader"],
  });
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction("document.title", null, { timeout: 120_000 }).catch((error: unknown) => {
      throw new Error(`the page reported nothing: ${errors.join(" · ") || String(error)}`);
    });
    return await page.title();
  } finally {
    await browser.close();
    server.close();
  }
}
