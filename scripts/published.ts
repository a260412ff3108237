// What the packages are once they are published and installed, without packing and installing them: for tests and measurements of size.
import { existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildCode, readPackage } from "./build-code.mjs";

const packages = fileURLToPath(new URL("../packages/", import.meta.url));

/** Makes `folder`/node_modules with the packages of these names, without declarations, and what they depend on. */
export async function installPublished(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const from = join(packages, name);
    const { publishConfig, ...manifest } = readPackage(from);
    const to = join(folder, "node_modules", manifest.name);
    mkdirSync(to, { recursive: true });
    writeFileSync(join(to, "package.json"), JSON.stringify({ ...manifest, ...publishConfig }));
    await buildCode(from, join(to, "dist"));
    for (const dependency of Object.keys(manifest.dependencies)) {
      const link = join(folder, "node_modules", dependency);
      if (dependency.startsWith("@gpugrad/") || existsSync(link)) continue;
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(realpathSync(join(from, "node_modules", dependency)), link);
    }
  }
}
