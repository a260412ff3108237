import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vitest/config";

/** `import code from "./kernel.wgsl"` gives the file's text. */
const wgsl: Plugin = {
  name: "wgsl",
  enforce: "pre",
  load: (id) => (id.endsWith(".wgsl") ? `export default ${JSON.stringify(readFileSync(id, "utf8"))}` : undefined),
};

export default defineConfig({
  plugins: [wgsl],
  test: {
    include: [
      "packages/*/{src,test}/**/*.test.ts",
      "examples/**/*.test.ts",
      "bench/**/*.test.ts",
      "scripts/**/*.test.ts",
    ],
    pool: "forks", // Dawn keeps process-wide state: one process per file, on two cores
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    setupFiles: ["./scripts/test-setup.ts"],
  },
});
