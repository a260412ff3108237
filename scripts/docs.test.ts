import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SKIPPED = /(^|\/)(node_modules|dist|\.git|output|corpus|fixtures)(\/|$)/;

/** Files below a folder whose names end so. */
function files(folder: string, ending: RegExp): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (SKIPPED.test(relative(root, path))) return [];
    return entry.isDirectory() ? files(path, ending) : ending.test(entry.name) ? [path] : [];
  });
}

const read = (path: string): string => readFileSync(path, "utf8");
const pages = files(root, /\.md$|\/llms\.txt$/);
const withoutCode = (text: string): string => text.replace(/^```[^]*?^```/gm, "");

/** The links of a text to files here, by their paths. */
const linksOf = (path: string, text: string): string[] =>
  [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map((match) => match[1]!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => join(dirname(path), target));

test("every link of a page leads to a file", () => {
  // The site's own pages link to addresses of the site, which its build checks.
  const inFolders = pages.filter((page) => !page.startsWith(join(root, "apps/web/pages")));
  const links = inFolders.flatMap((page) => linksOf(page, withoutCode(read(page))).map((target) => ({ page, target })));
  expect(links.length).toBeGreaterThan(100);
  expect(links.filter(({ target }) => !existsSync(target))).toEqual([]);
});

test("every decision is in the index, once, under its own title", () => {
  const folder = join(root, "docs/decisions");
  const index = read(join(folder, "README.md"));
  const rows = [...index.matchAll(/^\| \d{4}-\d\d-\d\d \| \[(.+)\]\((.+\.md)\) \| \S/gm)].map(
    ([, title, file]) => `${file}: ${title}`,
  );
  const notes = readdirSync(folder).filter((file) => file !== "README.md");
  expect(rows.sort()).toEqual(
    notes.map((file) => `${file}: ${read(join(folder, file)).split("\n")[0]!.slice(2)}`).sort(),
  );
});

test("a slot in the list of seams is a name in each of the files beside it", () => {
  const page = join(root, "docs/seams.md");
  const rows = read(page)
    .split("\n")
    .flatMap((line) => {
      const [, slot, where, who] = line.split("|");
      const name = /^ `(\w+(?:\.\w+)?)`/.exec(slot ?? "")?.[1];
      return name === undefined ? [] : [{ name, where: linksOf(page, where!), who: linksOf(page, who!) }];
    });
  expect(rows.length).toBeGreaterThan(12);
  const missing = rows.flatMap(({ name, where, who }) => {
    const word = new RegExp(`\\b${name.split(".")[0]!}\\b`);
    const sources = [...where, ...who].filter((file) => file.endsWith(".ts"));
    return sources.filter((file) => !word.test(read(file))).map((file) => `${name} in ${relative(root, file)}`);
  });
  expect(missing).toEqual([]);
  expect(rows.filter(({ where }) => where.length !== 1)).toEqual([]);
});

test("the walks name files, and functions in them", () => {
  for (const name of ["life-of-an-op.md", "life-of-a-batch.md"]) {
    const sections = read(join(root, "docs", name)).split(/^## /m);
    const steps = sections.flatMap((section) => {
      const below = /Paths are below `(.*?)\/?`/.exec(section)?.[1] ?? "packages/tensor/src";
      const drawn = /^```\n([^]*?)^```/m.exec(section)?.[1] ?? "";
      return [...drawn.matchAll(/([\w/-]+\.ts)(?: +(\w+)(?= {2}))?/g)].map(([, file, word]) => ({
        file: join(root, below, file!),
        word,
      }));
    });
    expect(steps.length, name).toBeGreaterThan(6);
    for (const { file, word } of steps)
      expect(existsSync(file) && (!word || read(file).includes(word)), `${name}: ${word} in ${file}`).toBe(true);
  }
});

test("the reading order has every op that is exported, in its room", () => {
  const exports = read(join(root, "packages/tensor/src/functional.ts")).matchAll(
    /^export \{([^}]*)\} from "\.\/ops\/(\w+)\//gm,
  );
  const ops = [...exports].flatMap(([, names, room]) =>
    names!
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && !name.startsWith("type "))
      .map((name) => `${room} ${name}`),
  );
  const rows = read(join(root, "docs/reading-order.md")).matchAll(/^\| \[`(\w+)\/`\]\(.*?\) \| (.*) \|$/gm);
  const listed = [...rows].flatMap(([, room, names]) =>
    [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => `${room} ${name}`),
  );
  expect(ops.length).toBeGreaterThan(90);
  expect(listed.sort()).toEqual(ops.sort());
});

test("links to the sources of Transformers name a tag: lines move", () => {
  const texts = [...pages, ...files(root, /\.(ts|mjs|wgsl|py)$/)].filter(
    (file) => file !== fileURLToPath(import.meta.url),
  );
  const links = texts.flatMap((file) =>
    [...read(file).matchAll(/github\.com\/huggingface\/transformers\/\S+/g)].map(
      (match) => `${relative(root, file)}: ${match[0]}`,
    ),
  );
  expect(links.length).toBeGreaterThan(20);
  expect(links.filter((link) => !/transformers\/blob\/v\d+\.\d+\.\d+\//.test(link))).toEqual([]);
});
