import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

/** For Vite and Vitest: `import code from "./kernel.wgsl"` gives the file's text. */
export const wgsl: Plugin = {
  name: "wgsl",
  enforce: "pre",
  load: (id) => (id.endsWith(".wgsl") ? `export default ${JSON.stringify(readFileSync(id, "utf8"))}` : undefined),
};
