// pnpm size: builds small programs by Vite from the packages as they are published, prints what a page loads at its start and what init() adds on
// adapters that few have, and fails where a bundle holds ops that its program does not use. What size-limit (.size-limit.json) measures, which
// is what a page on a usual GPU loads, is left in output/size/NAME/loaded.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { installPublished } from "../published.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The rooms of ops that each program needs: its own, and those that these are made of, backward included. */
const programs: Record<string, string> = {
  softmax: "cast softmax",
  method: "cast create elementwise matmul reduce shape softmax",
  mlp: "cast create elementwise loss matmul reduce shape",
  gpt: "attention cast create dropout elementwise embedding index loss matmul norm reduce relative shape",
  bert: "attention cast create dropout elementwise embedding index loss matmul norm reduce relative shape softmax",
};

const folder = mkdtempSync(join(tmpdir(), "gpugrad-size-"));
const rows: string[] = [];
let failures = 0;
try {
  await installPublished(folder, ["tensor", "autograd", "nn", "bert", "train"]);
  cpSync(join(root, "scripts/size/programs"), join(folder, "programs"), { recursive: true });
  for (const [name, rooms] of Object.entries(programs)) {
    const chunks = await bundle(name);
    const loaded = loadedBy(chunks);
    const out = join(root, "output/size", name, "loaded");
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    for (const { fileName, code } of loaded) writeFileSync(join(out, fileName), code);
    const found = roomsOf(loaded);
    if (found !== rooms) {
      console.error(`${name}: its bundle holds kernels of ${found}; expected ${rooms}.`);
      failures++;
    }
    const added = ["cpu", "matrix"].map((adapter) => kernelsFor(adapter, chunks));
    for (const { fileName, imports } of added.flat()) {
      if (imports.length === 0) continue;
      console.error(`${name}: ${fileName} imports ${imports.join()}: a page that awaits init() would wait for itself.`);
      failures++;
    }
    const gzipped = (code: string) => gzipSync(code, { level: 9 }).length;
    const sizes = [show(loaded, (code) => Buffer.byteLength(code)), ...[loaded, ...added].map((of) => show(of, gzipped))]; // prettier-ignore
    rows.push(`| ${[name, ...sizes].join(" | ")} |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
const head = "| program | minified | gzipped | more on a CPU adapter | more with matrix units |";
console.log([head, "|---|---|---|---|---|", ...rows].join("\n"));
const { status } = spawnSync("node_modules/.bin/size-limit", { cwd: root, stdio: "inherit" });
process.exit(failures > 0 ? 1 : (status ?? 1));

async function bundle(name: string): Promise<Rollup.OutputChunk[]> {
  const result = await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      target: "esnext", // programs await at their top level
      modulePreload: false,
      rollupOptions: {
        input: join(folder, "programs", `${name}.ts`),
        output: { entryFileNames: "[name].js", chunkFileNames: "[name].js" },
      },
    },
  });
  return (result as Rollup.RollupOutput).output.filter((file) => file.type === "chunk");
}

/** The program's own chunk and those that it imports; not what it loads when it needs it. */
function loadedBy(chunks: readonly Rollup.OutputChunk[]): Set<Rollup.OutputChunk> {
  const loaded = new Set(chunks.filter((chunk) => chunk.isEntry));
  for (const { imports } of loaded) for (const chunk of chunks) if (imports.includes(chunk.fileName)) loaded.add(chunk);
  return loaded;
}

/** What `init()` loads on adapters of a kind. */
function kernelsFor(adapter: string, chunks: readonly Rollup.OutputChunk[]): Rollup.OutputChunk[] {
  return chunks.filter(({ modules }) => Object.keys(modules).some((file) => file.endsWith(`/codes.${adapter}.js`)));
}

/** Whose kernels are in the bundle. */
function roomsOf(chunks: Iterable<Rollup.OutputChunk>): string {
  const kernels = Array.from(chunks, ({ modules }) =>
    Object.entries(modules).flatMap(([file, { renderedLength }]) => (renderedLength > 0 ? [file] : [])),
  ).flat();
  const rooms = kernels.map((file) => /tensor\/dist\/ops\/([\w-]+)\/[^/]+\.wgsl\.js$/.exec(file)?.[1]);
  return [...new Set(rooms)].filter((room) => room !== undefined).sort().join(" "); // prettier-ignore
}

function show(chunks: Iterable<Rollup.OutputChunk>, size: (code: string) => number): string {
  return `${(Array.from(chunks, ({ code }) => size(code)).reduce((a, b) => a + b, 0) / 1000).toFixed(1)} kB`;
}
