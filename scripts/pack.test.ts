// What is published works outside of this repository: the packed tarballs, installed with npm in an empty folder, run in
// Node, type-check, and build for a browser with Vite. Without `webgpu` they are small, and say what is missing.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { program } from "./runtimes/programs.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
const packages = ["tensor", "autograd", "nn", "bert", "train", "mpi", "gpugrad"];
const project = mkdtempSync(join(tmpdir(), "gpugrad-pack-"));
afterAll(() => rmSync(project, { recursive: true, force: true }));

const packed = join(project, "tarballs");
const tarballs = () => readdirSync(packed).map((file) => join(packed, file));
const write = (file: string, text: string) => writeFileSync(join(project, file), text);
const tool = (path: string, ...args: string[]) =>
  run(process.execPath, [join(root, "node_modules", path), ...args], { cwd: project });

beforeAll(async () => {
  mkdirSync(packed);
  const pack = (name: string) =>
    run("npx", ["-y", "pnpm@10", "pack", "--pack-destination", packed], { cwd: join(root, "packages", name) });
  await Promise.all(packages.map(pack));
  write("package.json", JSON.stringify({ name: "outside", private: true, type: "module" }));
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs()], { cwd: project });
});

test("a browser's install is small; in Node, it says what is missing", async () => {
  const page = mkdtempSync(join(tmpdir(), "gpugrad-page-"));
  try {
    const files = tarballs().filter((file) => /-(tensor|autograd|nn)-/.test(file));
    writeFileSync(join(page, "package.json"), JSON.stringify({ name: "page", private: true, type: "module" }));
    await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...files], { cwd: page });
    const { stdout } = await run("du", ["-sk", "node_modules"], { cwd: page });
    expect(parseInt(stdout)).toBeLessThan(5000);
    writeFileSync(join(page, "program.mjs"), `import { init } from "@gpugrad/tensor"; await init();`);
    const failed = run(process.execPath, ["program.mjs"], { cwd: page });
    await expect(failed).rejects.toThrow(/the package webgpu \(Dawn\) is not installed. Run: npm install webgpu/);
  } finally {
    rmSync(page, { recursive: true });
  }
});

test.each(packages)("publint and attw find nothing in %s", async (name) => {
  const prefix = name === "gpugrad" ? /gpugrad-\d/ : new RegExp(`gpugrad-${name}-`);
  const tarball = tarballs().find((file) => prefix.test(file))!;
  await tool("publint/src/cli.js", "run", tarball, "--strict");
  await tool("@arethetypeswrong/cli/dist/index.js", tarball, "--profile", "esm-only", "--no-emoji");
});

test("the packages' fields are those of the root's package.json", () => tool("../scripts/fields.mjs", "--check"));

test("a program runs in Node and ends by itself", async () => {
  write(
    "program.mjs",
    `import { init, matmul, tensor } from "@gpugrad/tensor";
     await init();
     const y = matmul(tensor([[1, 2], [3, 4]]), tensor([[5, 6], [7, 8]]));
     console.log(JSON.stringify(await y.toArray()));`,
  );
  const { stdout } = await run(process.execPath, ["program.mjs"], { cwd: project });
  expect(JSON.parse(stdout)).toEqual([
    [19, 22],
    [43, 50],
  ]);
});

test.each(["import", "require"] as const)("Node trains twenty steps, by %s", async (kind) => {
  const file = kind === "import" ? "steps.mjs" : "steps.cjs";
  write(file, program(kind));
  const { stdout } = await run(process.execPath, [file], { cwd: project });
  const [first, last] = /^losses (\S+) (\S+)$/m.exec(stdout)!.slice(1).map(Number);
  expect(first).toBeCloseTo(0.7224, 3); // as on every runtime in docs/runtimes.md
  expect(last).toBeCloseTo(0.3891, 3);
});

test("worker threads tokenize", async () => {
  write(
    "tokenize.mjs",
    `import { bertTokenizer } from "@gpugrad/bert";
     import { Dataset, tokenizeDataset } from "@gpugrad/train";
     const tokenizer = bertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w"]);
     const data = Dataset.fromRows([{ text: "w" }, { text: "w w" }]);
     const tokens = await tokenizeDataset(data, tokenizer, { cacheDir: "tokens", numWorkers: 1 });
     console.log(JSON.stringify([tokens.note ?? "threads", ...tokens.lengths]));
     await tokens.close();`,
  );
  const { stdout } = await run(process.execPath, ["tokenize.mjs"], { cwd: project });
  expect(JSON.parse(stdout)).toEqual(["threads", 3, 4]);
});

test("twenty lines train a classifier", async () => {
  write(
    "train.mjs",
    `import { AdamW, crossEntropy, init, linear, manualSeed, randn, scope, tanh, tensor, zeros } from "gpugrad";
     await init();
     manualSeed(1);
     const learn = (tensor) => Object.assign(tensor, { requiresGrad: true });
     const w1 = learn(randn([16, 2])), b1 = learn(zeros([16]));
     const w2 = learn(randn([2, 16])), b2 = learn(zeros([2]));
     const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
     const y = tensor([0, 1, 1, 0], "i32"); // exclusive or
     const optimizer = new AdamW(Object.entries({ w1, b1, w2, b2 }), { lr: 0.05 });
     const loss = () => crossEntropy(linear(tanh(linear(x, w1, b1)), w2, b2), y);
     for (let step = 0; step < 100; step++) {
       scope(() => {
         optimizer.zeroGrad();
         loss().backward();
         optimizer.step();
       });
     }
     console.log(await loss().item());`,
  );
  const { stdout } = await run(process.execPath, ["train.mjs"], { cwd: project });
  expect(Number(stdout)).toBeGreaterThan(0);
  expect(Number(stdout)).toBeLessThan(0.05); // log 2 = 0.69 at first
});

test("the umbrella gives what the five packages give", async () => {
  write(
    "umbrella.mjs",
    `import * as all from "gpugrad";
     const missing = [];
     for (const name of ${JSON.stringify(packages.slice(0, 5))}) {
       for (const key of Object.keys(await import("@gpugrad/" + name))) if (!(key in all)) missing.push(name + "." + key);
     }
     console.log(JSON.stringify(missing));`,
  );
  const { stdout } = await run(process.execPath, ["umbrella.mjs"], { cwd: project });
  expect(JSON.parse(stdout)).toEqual([]);
});

test("the command line runs", async () => {
  const { stdout } = await run("npx", ["gpugrad", "doctor", "--json"], { cwd: project });
  expect(JSON.parse(stdout)).toMatchObject({ ok: true });
});

test("declarations keep the names of arguments, and the guide to one's own op is there", () => {
  const dist = join(project, "node_modules/@gpugrad/tensor/dist");
  const declarations = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".d.ts"),
  );
  expect(declarations.filter((file) => /\b__\d+\??:/.test(readFileSync(join(dist, file), "utf8")))).toEqual([]);
  expect(readFileSync(join(dist, "your-own-op.md"), "utf8")).toContain("defineOp(");
});

test.each([
  ["a page", ["DOM", "DOM.Iterable"], []],
  ["Node, without the DOM library", [], ["node"]],
])("the types check strictly, dependencies included, for %s", async (_, libraries, types) => {
  write(
    "program.ts",
    `import { init, matmul, tensor, type Tensor } from "@gpugrad/tensor";
     import * as all from "gpugrad";
     const device = await init();
     const limit: number = device.gpu.limits.maxBufferSize;
     const y: Tensor = matmul(tensor([[1, 2], [3, 4]]), all.tensor([[5, 6], [7, 8]]));
     // @ts-expect-error the second operand is missing
     matmul(y);
     export { limit };`,
  );
  write(
    "tsconfig.json",
    JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        target: "ES2022",
        module: "NodeNext",
        lib: ["ES2023", "ESNext.Disposable", ...libraries],
        types,
        typeRoots: [join(root, "node_modules/@types")],
        skipLibCheck: false,
      },
      files: ["program.ts"],
    }),
  );
  await tool("typescript/bin/tsc", "-p", ".").catch(({ stdout }: { stdout: string }) => expect(stdout).toBe(""));
});

test("Vite builds it for browsers, without anything of Node's", async () => {
  write("index.html", `<script type="module" src="./page.js"></script>`);
  write(
    "page.js",
    `import * as all from "gpugrad";
     console.log(Object.keys(all));`,
  );
  const { stdout, stderr } = await tool("vite/bin/vite.js", "build");
  expect(stdout + stderr).not.toMatch(/externalized for browser compatibility/);
  const assets = join(project, "dist/assets");
  const code = readdirSync(assets).map((file) => readFileSync(join(assets, file), "utf8"));
  expect(code.join("\n")).not.toMatch(/dawn\.node|__vite-browser-external|(from|import\()\s*["']node:/);
});
