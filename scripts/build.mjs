// Builds the package in the current folder into its dist/, as `pnpm pack` publishes it: one JavaScript file for each
// entry of package.json's publishConfig, with shared code in chunks and texts inside, and the type declarations.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { build } from "esbuild";
import { root } from "./setup.mjs";

const folder = process.cwd();
const source = join(folder, "src");
const dist = join(folder, "dist");
const { exports, imports = {}, bin = {} } = JSON.parse(readFileSync("package.json", "utf8")).publishConfig;

rmSync(dist, { recursive: true, force: true });

/** dist/NAME.js is made from NAME.ts, wherever that is in src/. */
const sources = readdirSync(source, { recursive: true });
const outputs = JSON.stringify({ exports, imports, bin }).matchAll(/\.\/dist\/([\w.-]+)\.js/g);
const entries = Object.fromEntries(
  Array.from(outputs, ([, name]) => {
    const file = sources.find((path) => basename(path) === `${name}.ts`);
    if (!file) throw new Error(`build: package.json publishes dist/${name}.js, but src/ has no ${name}.ts`);
    return [name, join(source, file)];
  }),
);

/** `import style from "./page.css?raw"` gives the file's text, as in Vite and in text-loader.mjs. */
const rawText = {
  name: "raw-text",
  setup: ({ onLoad }) =>
    onLoad({ filter: /./ }, ({ path, suffix }) =>
      suffix === "?raw" ? { contents: readFileSync(path, "utf8"), loader: "text" } : undefined,
    ),
};

await build({
  entryPoints: entries,
  outdir: dist,
  bundle: true,
  splitting: true, // an error class must be the same one in index.js and hub.node.js
  format: "esm",
  target: "es2022",
  platform: "neutral",
  packages: "external",
  external: Object.keys(imports), // the condition that picks the file is the user's: Node or a browser
  loader: { ".wgsl": "text" },
  plugins: [rawText],
  sourcemap: true,
  logLevel: "warning",
});

// Other packages' sources come along in tsc's output: theirs is thrown away.
const scratch = mkdtempSync(join(root, "node_modules", ".declarations-"));
try {
  const project = join(scratch, "tsconfig.json");
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        noCheck: true, // `pnpm types` checks
        rootDir: root,
        outDir: join(scratch, "out"),
      },
      files: [...Object.values(entries), join(root, "packages/tensor/src/wgsl.d.ts")],
      include: [],
    }),
  );
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", project], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error(`build: tsc can't emit the declarations of ${relative(root, folder)}`);
  cpSync(join(scratch, "out", relative(root, source)), dist, { recursive: true });
} finally {
  rmSync(scratch, { recursive: true });
}

if (basename(folder) === "tensor") cpSync(join(root, "docs/your-own-op.md"), join(dist, "your-own-op.md"));

for (const path of readdirSync(dist, { recursive: true })) {
  if (!path.endsWith(".d.ts")) continue;
  const file = join(dist, path);
  const text = readFileSync(file, "utf8").replace(/(["'])(\.{1,2}\/[^"']*)\.ts\1/g, "$1$2.js$1");
  // Users see GPUDevice and its like without naming @webgpu/types in their tsconfig.
  writeFileSync(file, /\bGPU[A-Z]/.test(text) ? `/// <reference types="@webgpu/types" />\n${text}` : text);
}
