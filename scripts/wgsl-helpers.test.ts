import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";

/** What each kernel of a room does in its own way, and what others take the place of. */
const OWN = [
  "main",
  "store",
  "columns",
  "write",
  "four",
  "scales",
  "kept",
  "kept_four",
  "take_rows",
  "write_row_sums",
  "add_up_rows",
  "add_row_sums",
  "sum_all",
  "add_products",
  "logit",
];

// WGSL has no imports, so rooms copy their helpers: a change has to reach all copies.
test("functions of one name and type are one text throughout a room", () => {
  const files = new Map<string, Map<string, string[]>>();
  const all = readdirSync("packages", { recursive: true, encoding: "utf8" });
  for (const file of all.filter((name) => /^\w+\/src\/.*\.wgsl$/.test(name))) {
    const code = readFileSync(join("packages", file), "utf8");
    for (const [text, name, type] of code.matchAll(/^fn (\w+)(\(.*?\)(?: -> [^{]*)?) \{(?:.*\}$|[^]*?^\})/gm)) {
      if (OWN.includes(name!)) continue;
      const helper = `${dirname(file)}: ${name}${type}`;
      const texts = files.get(helper) ?? new Map<string, string[]>();
      files.set(helper, texts.set(text, [...(texts.get(text) ?? []), basename(file)]));
    }
  }
  const differing = [...files].filter(([, texts]) => texts.size > 1);
  expect(differing.map(([helper, texts]) => ({ helper, files: [...texts.values()] }))).toEqual([]);
  expect(files.size).toBeGreaterThan(100);
});
