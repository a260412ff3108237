// Node hook: `import code from "./kernel.wgsl"` and `import style from "./page.css?raw"` give the file's text, as bundlers do.
import { register } from "node:module";
register(
  "data:text/javascript," +
    encodeURIComponent(`
      import { readFile } from "node:fs/promises";
      export async function load(url, context, next) {
        const [file, query] = url.split("?");
        if (!file.endsWith(".wgsl") && !new URLSearchParams(query).has("raw")) return next(url, context);
        const text = await readFile(new URL(file), "utf8");
        return { format: "module", shortCircuit: true, source: "export default " + JSON.stringify(text) };
      }`),
);
