// Node hook: `import code from "./kernel.wgsl"` gives the file's text, as bundlers do with a text loader.
import { register } from "node:module";
register(
  "data:text/javascript," +
    encodeURIComponent(`
      import { readFile } from "node:fs/promises";
      export async function load(url, context, next) {
        if (!url.split("?")[0].endsWith(".wgsl")) return next(url, context);
        const text = await readFile(new URL(url), "utf8");
        return { format: "module", shortCircuit: true, source: "export default " + JSON.stringify(text) };
      }`),
);
