// A page loads the kernels that its adapter needs, and no others; also where it awaits init() at its top level.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";
import { expect, test } from "vitest";
import { installPublished } from "../published.ts";
import { path, titleOf } from "../runtimes/page.ts";

const program = `import { init, matmul, tensor } from "@gpugrad/tensor/functional";
const { adapter } = await init();
const rows = Array.from({ length: 5 }, (_, i) => [i, 1, 0, 2]);
const y = await matmul(tensor(rows), tensor([[1, 2, 3, 4], [0, 1, 0, 1], [5, 5, 5, 5], [1, 0, 0, 1]])).toArray();
const files = performance.getEntriesByType("resource").flatMap(({ name }) => /[^/]+\\.js$/.exec(name) ?? []).sort();
document.title = JSON.stringify({ cpu: adapter.cpu, y, files });`;

test.skipIf(!path)("a page on a CPU adapter loads the kernels for CPUs", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-page-"));
  try {
    await installPublished(folder, ["tensor"]);
    writeFileSync(join(folder, "main.js"), program);
    const output = { entryFileNames: "[name].js", chunkFileNames: "[name].js" };
    const rollupOptions = { input: join(folder, "main.js"), output };
    await build({ root: folder, configFile: false, logLevel: "error", build: { target: "esnext", rollupOptions } });
    expect(JSON.parse(await titleOf(join(folder, "dist")))).toEqual({
      cpu: true,
      y: [2, 3, 4, 5, 6].map((first, i) => [first, 2 * i + 1, 3 * i, 4 * i + 3]),
      files: ["codes.cpu.js", "main.js"],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
