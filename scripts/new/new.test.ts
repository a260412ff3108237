import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { afterAll, expect, test } from "vitest";
import { filled, makeRoom, type Kind } from "./make.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Packages as they are here, with the dependencies of here: what is made in it is in nobody's way. */
const copy = mkdtempSync(join(tmpdir(), "gpugrad-new-"));
afterAll(() => rmSync(copy, { recursive: true }));
for (const name of readdirSync(join(root, "packages"))) {
  const [from, to] = [join(root, "packages", name), join(copy, "packages", name)];
  mkdirSync(to, { recursive: true });
  for (const part of ["src", "package.json"]) cpSync(join(from, part), join(to, part), { recursive: true });
  if (existsSync(join(from, "node_modules"))) symlinkSync(join(from, "node_modules"), join(to, "node_modules"));
}
for (const part of ["node_modules", "scripts"]) symlinkSync(join(root, part), join(copy, part));
for (const file of ["package.json", "tsconfig.json", "vitest.config.ts"]) cpSync(join(root, file), join(copy, file));

/** Runs a program of the dependencies in the copy; what it says is the message if it fails. */
function run(program: string, ...args: string[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "node_modules", program), ...args], {
    cwd: copy,
    encoding: "utf8",
  });
  expect(status, `${stdout}${stderr}`).toBe(0);
}

test.each<[Kind, string]>([["op", "soft-bump"], ["model", "tiny-encoder"]])("a new %s passes its test", (kind, name) => {
  const files = makeRoom(copy, kind, name);
  const report = join(copy, `${name}.json`);
  run("vitest/vitest.mjs", "run", "--reporter=json", `--outputFile=${report}`, ...files.filter((file) => file.endsWith(".test.ts")));
  const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, "utf8")) as Record<string, number>;
  expect(numFailedTests).toBe(0);
  expect(numPassedTests).toBeGreaterThan(2);
  expect(() => makeRoom(copy, kind, name)).toThrow(`new:${kind}: `);
}); // prettier-ignore

test("their types are right, and Prettier would leave them as they are", async () => {
  const files = [...makeRoom(copy, "op", "hard-bump"), ...makeRoom(copy, "model", "small-encoder")];
  const types = files.filter((file) => file.endsWith(".ts"));
  const include = [...types, "packages/tensor/src/wgsl.d.ts"];
  writeFileSync(
    join(copy, "tsconfig.new.json"),
    JSON.stringify({ extends: "./tsconfig.json", files: include, include: [] }),
  );
  run("typescript/bin/tsc", "--noEmit", "-p", "tsconfig.new.json");
  for (const file of types) {
    const text = readFileSync(join(copy, file), "utf8");
    expect(await format(text, { filepath: file, printWidth: 120 }), file).toBe(text);
  }
});

test("names that can't be are refused", () => {
  for (const name of ["Softsign", "../up", "two words", "", "-x"]) {
    expect(() => makeRoom(copy, "op", name)).toThrow(
      `new:op: ${JSON.stringify(name)} is not a name such as "softsign"`,
    );
  }
  expect(() => makeRoom(copy, "op", "softmax")).toThrow("packages/tensor/src/ops/softmax is there already");
});

test("docs/adding-an-op.md shows the files that new:op makes", () => {
  const page = read("docs/adding-an-op.md");
  for (const [file, text] of filled("op", "softsign")) {
    expect(page, file).toContain(`\`${file}\``);
    expect(page.includes(`\n${text}\`\`\`\n`), file).toBe(true);
  }
});
