// The API reference: pages of Markdown, made by `pnpm site` and `pnpm site:build` for VitePress to show, and never committed.
import { readFileSync } from "node:fs";

const { homepage } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/** @type {Partial<import("typedoc").TypeDocOptions & import("typedoc-plugin-markdown").PluginOptions>} */
export default {
  entryPoints: ["tensor", "autograd", "nn", "bert", "train"].map((name) => `../../packages/${name}/src/index.ts`),
  tsconfig: "../../tsconfig.json",
  plugin: ["typedoc-plugin-markdown"],
  out: "pages/api",
  router: "module", // a page for each package
  entryFileName: "index",
  name: "API",
  readme: "none",
  skipErrorChecking: true, // `pnpm types` checks
  excludePrivate: true,
  excludeExternals: true,
  gitRevision: "main",
  sourceLinkTemplate: `${homepage}/blob/main/{path}#L{line}`,
  hideBreadcrumbs: true,
  hidePageHeader: true,
  parametersFormat: "table",
  sanitizeComments: true,
  logLevel: "Error",
};
