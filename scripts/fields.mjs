// node scripts/fields.mjs [--check]: writes repository, homepage, bugs, funding, author and keywords into the packages' package.json. They are said once, in the
// root's; a package's own keywords come after the common ones. With --check nothing is written, and a difference is an error.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const read = (file) => JSON.parse(readFileSync(join(root, file), "utf8"));
const { author, bugs, funding, homepage, keywords, license, repository } = read("package.json");
const check = process.argv.includes("--check");

for (const name of readdirSync(join(root, "packages"))) {
  const directory = `packages/${name}`;
  const file = `${directory}/package.json`;
  const manifest = read(file);
  const own = (manifest.keywords ?? []).filter((keyword) => !keywords.includes(keyword));
  const { name: id, version, description, ...rest } = manifest;
  for (const field of ["author", "bugs", "funding", "homepage", "keywords", "license", "repository"])
    delete rest[field];
  const publishConfig = { access: "public", provenance: true, ...rest.publishConfig };
  const text = JSON.stringify(
    {
      ...{ name: id, version, description, keywords: [...keywords, ...own] },
      ...{ homepage: `${homepage}/tree/main/${directory}#readme`, bugs, repository: { ...repository, directory } },
      ...{ funding, license, author, ...rest, publishConfig },
    },
    null,
    2,
  );
  if (!check) writeFileSync(join(root, file), `${text}\n`);
  else if (text !== JSON.stringify(manifest, null, 2)) {
    console.error(
      `${file} differs from what the root's package.json says: run node scripts/fields.mjs, then pnpm format.`,
    );
    process.exitCode = 1;
  }
}
