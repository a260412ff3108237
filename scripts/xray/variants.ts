import type { Kernel } from "@gpugrad/tensor";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A kernel at one tuning, as it goes to the compiler. */
export interface Variant {
  /** Its file below a package's `src`, as kernels name it. */
  file: string;
  code: string;
  overrides: Record<string, number>;
  /** Overrides, and the constants that `specialize()` gave another value: `SIDE=16 Lanes=vec4f`. */
  tuning: string;
}

export function variantOf({ file, code }: Kernel, overrides: Record<string, number>): Variant {
  const written = declarations(readFileSync(pathOf(file), "utf8"));
  const given = declarations(code);
  const changed = [...given].filter(([name, value]) => written.get(name) !== value);
  const set = Object.entries(overrides).filter(([name, value]) => numberOf(given.get(name)) !== value);
  return { file, code, overrides, tuning: [...changed, ...set].map(([name, value]) => `${name}=${value}`).join(" ") };
}

/** Where a kernel's file lies: below tensor's sources, or those of the package that its name begins with; or it is a path. */
function pathOf(file: string): string {
  if (existsSync(file)) return file;
  const [, name = "tensor", path = file] = /^(train)\/(.*)$/.exec(file) ?? [];
  return fileURLToPath(new URL(`../../packages/${name}/src/${path}`, import.meta.url));
}

/** Values of the `const`s and `alias`es, and defaults of the `override`s, at the beginning of lines. */
function declarations(code: string): Map<string, string> {
  const all = code.matchAll(/^(?:const|alias|override)\s+(\w+)[^=;]*=\s*([^;]+);/gm);
  return new Map([...all].map(([, name, value]) => [name!, value!.trim()]));
}

const numberOf = (literal = ""): number =>
  literal === "true" ? 1 : literal === "false" ? 0 : Number(literal.replace(/[uif]$/, ""));
