// The JavaScript of a package as it is published: one module in dist/ for each file of src/ that an entry reaches, and one for each text, so
// that a bundler keeps what a program uses and leaves the rest.
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { build } from "esbuild";
import { root } from "./setup.mjs";

/** The sources of what `publishConfig` publishes: dist/runtime/init.js is made from src/runtime/init.ts. */
export function entriesOf(folder) {
  const { exports, imports = {}, bin = {} } = readPackage(folder).publishConfig;
  const outputs = JSON.stringify({ exports, imports, bin }).matchAll(/"\.\/dist\/([^"]+)\.js"/g);
  return [...new Set(Array.from(outputs, ([, name]) => join(folder, "src", `${name}.ts`)))];
}

/**
 * @typedef {{ name: string, dependencies: Record<string, string>, publishConfig: Record<string, object> }} Manifest
 * @type {(folder: string) => Manifest}
 */
export const readPackage = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

/**
 * WGSL without comments, and without blanks where they say nothing but one of each indentation: a brace at the beginning of a line ends a
 * function. Lines stay where they are, so that a compiler names the same line as in the source.
 * @type {(code: string) => string}
 */
export const compactWgsl = (code) =>
  code
    .replace(/\/\/.*$/gm, "")
    .replace(/[ \t]+$/gm, "")
    .replace(/^[ \t]+/gm, " ")
    .replace(/([,;:(){}[\]]) +/g, "$1")
    .replace(/(?<=\S) +([,;:(){}[\]])/g, "$1")
    .replace(/(?<=[\w)\]]) ?([-+*/%<>=!&|^]{1,2}=?) ?(?=[\w(])/g, "$1"); // not before a sign: a - -b is not a--b

/**
 * Builds the package in `folder` into `dist`.
 * @type {(folder: string, dist: string) => Promise<void>}
 */
export async function buildCode(folder, dist) {
  const source = join(folder, "src");
  const { imports = {} } = readPackage(folder).publishConfig;
  const common = {
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    packages: "external",
    external: Object.keys(imports), // the condition that picks the file is the user's: Node or a browser
    outdir: dist,
    outbase: source,
    metafile: true,
    logLevel: "warning",
  };
  const reached = await build({ ...common, entryPoints: entriesOf(folder), write: false, plugins: [texts] });
  const inputs = Object.keys(reached.metafile.inputs).map((path) => ({
    in: join(process.cwd(), path),
    out: outputOf(relative(source, path)),
  }));
  for (const sourcemap of [true, false])
    await build({
      ...common,
      entryPoints: inputs.filter((input) => input.in.endsWith(".ts") === sourcemap), // a text is its own map
      plugins: [texts, apart],
      sourcemap,
    });
}

/** The module of a source, without the ending `.js`: `a.ts` and `a.wgsl` stay apart. */
const outputOf = (path) => path.replace(/\.ts$|\?raw$/, "");

/** `import code from "./x.wgsl"` gives the file's text, and so does `"./page.css?raw"`, as in Vite and in text-loader.mjs. */
const texts = {
  name: "texts",
  setup({ onLoad }) {
    onLoad({ filter: /\.wgsl$/ }, ({ path }) => ({
      contents: compactWgsl(readFileSync(path, "utf8")),
      loader: "text",
    }));
    onLoad({ filter: /./ }, ({ path, suffix }) =>
      suffix === "?raw" ? { contents: readFileSync(path, "utf8"), loader: "text" } : undefined,
    );
  },
};

const umbrella = join(root, "packages/gpugrad/");

/** Imports of other files stay imports. */
const apart = {
  name: "apart",
  setup({ onResolve }) {
    // The packages between tensor and the umbrella use no methods (tsconfig.functional.json checks it), so that programs need not load them.
    onResolve({ filter: /^@gpugrad\/tensor$/ }, ({ path, importer }) =>
      importer.startsWith(umbrella) ? undefined : { path: `${path}/functional`, external: true },
    );
    onResolve({ filter: /^\.\.?\// }, ({ path, kind }) =>
      kind === "entry-point" ? undefined : { path: `${outputOf(path)}.js`, external: true },
    );
  },
};
