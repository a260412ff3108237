// What may import what: tensor ← autograd ← nn ← bert ← train ← mpi ← gpugrad, and nothing in a circle.
const testing = "\\.(test|bench|reference)\\.ts$|/testing/";
const packages = ["tensor", "autograd", "nn", "bert", "train", "mpi", "gpugrad"];

module.exports = {
  forbidden: [
    {
      name: "no-circular",
      comment: "A circle has no first file to read. Types alone may point back.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-circular-types",
      comment:
        "In packages not even types point back, but for two pairs: a scope holds tensors, and a tensor enters the scope at hand; it is recorded, and asks the recorder for gradients.",
      severity: "error",
      from: { path: "^packages/", pathNot: "^packages/tensor/src/(tensor|scope|recorder)\\.ts$" },
      to: { circular: true },
    },
    ...packages.slice(0, -1).map((name, i) => ({
      name: `${name}-knows-nothing-above-it`,
      severity: "error",
      from: { path: `^packages/${name}/` },
      to: { path: packages.slice(i + 1).map((above) => `^packages/${above}/`) },
    })),
    {
      name: "packages-do-not-import-the-house",
      comment: "What is published can't reach scripts, bench or examples.",
      severity: "error",
      from: { path: "^packages/[^/]+/src/", pathNot: testing },
      to: { path: "^(scripts|bench|examples|apps)/" },
    },
    {
      name: "through-the-front-door",
      comment:
        "Another package is imported by its name, or by the name of another of its entries, not by a path into it.",
      severity: "error",
      from: { path: "^packages/([^/]+)/" },
      to: {
        path: "^packages/([^/]+)/",
        pathNot: "^packages/[^/]+/src/index\\.ts$|^packages/tensor/src/checks\\.ts$|^packages/$1/",
      },
    },
    {
      name: "models-know-no-hub",
      comment: "How a repository is opened is handed to them: bert/src/opener.ts.",
      severity: "error",
      from: { path: "^packages/bert/src/(models|tokenizer|weights|sentence-embeddings)/", pathNot: testing },
      to: { path: "^packages/bert/src/hub/" },
    },
    {
      name: "no-tests-in-sources",
      comment: "But for tensor's entry that checks kernels on a user's machine: its cases are those of the benchmarks.",
      severity: "error",
      from: { path: "^packages/[^/]+/src/", pathNot: `${testing}|^packages/tensor/src/checks\\.ts$` },
      to: { path: `${testing}|^packages/[^/]+/test/` },
    },
    {
      name: "no-unresolved",
      comment: "scripts/deno/tests.ts resolves parts of Vitest from where Vitest is.",
      severity: "error",
      from: { pathNot: "^scripts/deno/.*\\.mjs$" },
      to: { couldNotResolve: true },
    },
    {
      name: "no-undeclared-dependency",
      comment: "What a package imports is among its own dependencies.",
      severity: "error",
      from: { path: "^packages/[^/]+/src/", pathNot: testing },
      // (A package of this workspace resolves to its sources, whose type is undetermined; its order is checked above.)
      to: {
        pathNot: "^packages/",
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "undetermined"],
        dependencyTypesNot: ["npm-peer"],
      },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(packages|apps)/[^/]+/dist/|^bench/peers/" }, // the latter's libraries are installed only for `pnpm bench:peers`
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    combinedDependencies: false,
    enhancedResolveOptions: { conditionNames: ["node", "import", "default", "types"], exportsFields: ["exports"] },
  },
};
