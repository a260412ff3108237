// WGSL as it is published says the same as the source, line by line.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { compactWgsl } from "./build-code.mjs";

const packages = fileURLToPath(new URL("../packages/", import.meta.url));
const files = readdirSync(packages, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".wgsl") && file.includes("src") && !file.includes("node_modules"));

/** Longest first, as WGSL's grammar takes them: https://www.w3.org/TR/WGSL/#tokens (but for `>>`, which may close two lists). */
const TOKEN =
  /[A-Za-z_]\w*|0x[\w.]+(?:p[-+]?\d+)?[fhiu]?|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?[fhiu]?|<<=|>>=|->|&&|\|\||<<|\+\+|--|[-+*/%&|^=!<>]=|[^\s\w]/g;
const tokensOf = (line: string) => line.replace(/\/\/.*/, "").match(TOKEN) ?? [];

test("all kernels are compared", () => expect(files.length).toBeGreaterThan(130));

test.each(files)("%s", (file) => {
  const source = readFileSync(join(packages, file), "utf8");
  const lines: string[] = compactWgsl(source).split("\n");
  expect(lines.map(tokensOf)).toEqual(source.split("\n").map(tokensOf));
  expect(lines.filter((line) => /^\S/.test(line)).length).toBe(
    source.split("\n").filter((line) => /^[^\s/]/.test(line)).length, // functions still end at a brace at the beginning of a line
  );
  expect(lines.join("")).not.toMatch(/\/\/| {2}|\t/);
});

test("a sign is not joined with another", () => {
  expect(compactWgsl("let x = a - -b; // c\n  if (x < 0.0) { return; }")).toBe("let x=a - -b;\n if(x<0.0){return;}");
});
