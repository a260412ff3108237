import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

/** For Vite and Vitest: `import code from "./kernel.wgsl"` gives the file's text. */
export const wgsl = {
  name: "wgsl",
  enforce: "pre" as const,
  load: (id: string) =>
    id.endsWith(".wgsl") ? `export default ${JSON.stringify(readFileSync(id, "utf8"))}` : undefined,
} satisfies Plugin;
