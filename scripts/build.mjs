// Builds the package in the current folder into its dist/, as `pnpm pack` publishes it: its modules (build-code.mjs) and their type
// declarations.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { buildCode, entriesOf } from "./build-code.mjs";
import { root } from "./setup.mjs";

const folder = process.cwd();
const source = join(folder, "src");
const dist = join(folder, "dist");

rmSync(dist, { recursive: true, force: true });
await buildCode(folder, dist);

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
      files: [...entriesOf(folder), join(root, "packages/tensor/src/wgsl.d.ts")],
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

if (basename(folder) === "tensor") {
  cpSync(join(root, "docs/your-own-op.md"), join(dist, "your-own-op.md"));
  // What "#webgpu" is before TypeScript 6, and from then on.
  writeFileSync(join(dist, "webgpu.d.ts"), `/// <reference types="@webgpu/types" />\n`);
  cpSync(join(source, "webgpu-of-dom.d.ts"), join(dist, "webgpu-of-dom.d.ts"));
}

for (const path of readdirSync(dist, { recursive: true })) {
  if (!path.endsWith(".d.ts")) continue;
  const file = join(dist, path);
  const text = readFileSync(file, "utf8")
    .replace(/(["'])(\.{1,2}\/[^"']*)\.ts\1/g, "$1$2.js$1")
    .replace(/\b__\d+(?=\??:)/g, "options"); // what tsc calls an argument that is taken apart where it is named
  // Users see GPUDevice and its like without naming types for them in their tsconfig.
  const usesWebGpu = /\bGPU(?!GRAD)[A-Z]/.test(text) && !basename(file).startsWith("webgpu");
  writeFileSync(file, usesWebGpu ? `import "#webgpu";\n${text}` : text);
}
