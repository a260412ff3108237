import { defineConfig } from "vitest/config";
import { wgsl } from "./scripts/vite-wgsl.ts";

export default defineConfig({
  plugins: [wgsl],
  test: {
    include: [
      "packages/*/{src,test}/**/*.test.ts",
      "examples/**/*.test.ts",
      "bench/**/*.test.ts",
      "scripts/**/*.test.ts",
      "fuzz/**/*.test.ts",
      "apps/**/*.test.ts",
    ],
    css: true, // the report has a style, which Vitest would replace by nothing
    pool: "forks", // Dawn keeps process-wide state: one process per file, on two cores
    maxWorkers: 2,
    testTimeout: 180_000, // none takes 30 s where the machine has nothing else to do
    hookTimeout: 180_000,
    setupFiles: ["./scripts/test-setup.ts"],
  },
});
