import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type MarkdownRenderer } from "vitepress";
import { wgsl } from "../../../scripts/vite-wgsl.ts";
import { course } from "../src/learn/puzzles.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const { homepage } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { homepage: string };

/** The site is the pages of this folder and the repository's `docs/`, which read the same there and here. */
const pages = { docs: "docs/:path(.*)", own: "apps/web/pages/:path(.*)" };
const isPage = (path: string) => /^(docs|apps\/web\/pages)\//.test(path) && /\.md$/.test(path);

/** Where a link of a page leads: to another page by its address, and to what is none into the repository. */
function repositoryLinks(md: MarkdownRenderer): void {
  md.core.ruler.push("repository-links", ({ tokens, env }) => {
    const { path: page, realPath = page } = env as { path?: string; realPath?: string }; // `path` is where a rewrite puts it
    if (realPath === undefined) return; // a title alone
    const filePath = posix.relative(root, realPath);
    for (const { children } of tokens)
      for (const token of children ?? []) {
        const href = token.type === "link_open" ? token.attrGet("href") : undefined;
        if (!href || /^([a-z]+:|#|\/)/.test(href)) continue;
        const [path = "", hash = ""] = href.split(/(?=#)/);
        const target = posix.join(posix.dirname(filePath), path);
        const address = target.replace(/^(docs|apps\/web\/pages)\//, "/").replace(/(^|\/)README\.md$/, "$1index.md");
        token.attrSet("href", `${isPage(target) ? address : `${homepage}/blob/main/${target}`}${hash}`);
      }
  });
}

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8H0z" fill="#345" /><path d="M1 5l2-3 2 4 2-4" fill="none" stroke="#fff" /></svg>`;

const guide = [
  { text: "Fine-tuning", link: "/training" },
  { text: "Tasks", link: "/tasks/" },
  { text: "Families", link: "/families" },
  { text: "Tokenizers", link: "/tokenizers" },
  { text: "Adapters: LoRA", link: "/adapters" },
  { text: "Distillation", link: "/distillation" },
  { text: "Adapting to a domain", link: "/domain-adaptation" },
  { text: "Searching hyperparameters", link: "/hyperparameters" },
  { text: "Inference", link: "/inference" },
  { text: "Serving", link: "/serving" },
  { text: "On a GPU that isn't here", link: "/plan" },
  { text: "MiniLM, step by step", link: "/minilm-run" },
  { text: "MiniLM on all of IMDB", link: "/imdb-run" },
];
const kernels = [
  { text: "A kernel, line by line", link: "/kernels/a-kernel-line-by-line" },
  ...["gelu", "softmax", "layer-norm", "matmul", "attention"].map((op) => ({
    text: op === "gelu" ? "GELU" : `${op[0]!.toUpperCase()}${op.slice(1).replace("-", " ")}`,
    link: `/kernels/${op}`,
  })),
];
const explorers = [
  { text: "Matmul", link: "/explore/matmul" },
  { text: "Softmax", link: "/explore/softmax" },
  { text: "Layer norm", link: "/explore/layer-norm" },
  { text: "GELU", link: "/explore/gelu" },
  { text: "Attention", link: "/explore/attention" },
  { text: "Cross-entropy", link: "/explore/cross-entropy" },
  { text: "Embedding", link: "/explore/embedding" },
  { text: "AdamW", link: "/explore/adamw" },
];
const inside = [
  { text: "Where to start reading", link: "/reading-order" },
  { text: "The life of an op", link: "/life-of-an-op" },
  { text: "The life of a batch", link: "/life-of-a-batch" },
  { text: "Adding an op", link: "/adding-an-op" },
  { text: "From PyTorch", link: "/from-pytorch" },
  { text: "Memory", link: "/memory" },
  { text: "The seams", link: "/seams" },
  { text: "What a compiler makes of it", link: "/xray" },
  { text: "Security", link: "/security" },
  { text: "Decisions", link: "/decisions/" },
];

export default defineConfig({
  title: "gpugrad",
  description: "Tensors, automatic differentiation and the BERT family, from scratch, in TypeScript over WebGPU.",
  lang: "en",
  head: [["link", { rel: "icon", href: `data:image/svg+xml,${encodeURIComponent(icon)}` }]],
  base: process.env["SITE_BASE"] ?? "/",
  srcDir: "../..",
  srcExclude: ["*.md", "{packages,examples,bench,scripts,fuzz,.github,output}/**", "apps/web/*.md"],
  rewrites: { "docs/:folder/README.md": ":folder/index.md", [pages.docs]: ":path", [pages.own]: ":path" },
  outDir: "./dist",
  cacheDir: "./node_modules/.vitepress",
  cleanUrls: false, // any static host serves page.html
  lastUpdated: false,
  markdown: {
    config: repositoryLinks,
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
  },
  vite: {
    plugins: [wgsl],
    // Pages of docs/ become Vue components, and are no part of this package.
    resolve: {
      alias: [
        { find: /^vue(?=\/|$)/, replacement: dirname(createRequire(import.meta.url).resolve("vue/package.json")) },
      ],
    },
    worker: { format: "es", plugins: () => [wgsl] },
    build: { target: "es2022" },
    server: { fs: { allow: [root] } },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: { level: [2, 3] },
    nav: [
      { text: "Playground", link: "/play" },
      { text: "Learn", link: "/learn/" },
      { text: "Kernels", link: "/kernels/a-kernel-line-by-line" },
      { text: "The tape", link: "/tape" },
      { text: "Guide", link: "/training" },
      ...(existsSync(`${root}apps/web/pages/api`) ? [{ text: "API", link: "/api/" }] : []), // made by typedoc
    ],
    sidebar: [
      {
        text: "Try",
        items: [
          { text: "Playground", link: "/play" },
          { text: "The tape", link: "/tape" },
          { text: "Step through matmul", link: "/step/matmul" },
          { text: "Step through attention", link: "/step/attention" },
        ],
      },
      {
        text: "Learn",
        link: "/learn/",
        items: course.map(({ page, title }) => ({ text: title, link: `/learn/${page}` })),
      },
      { text: "Kernels", items: kernels },
      { text: "On your machine", items: explorers },
      { text: "Guide", items: guide },
      { text: "Inside", items: inside },
    ],
    socialLinks: [{ icon: "github", link: homepage }],
  },
});
