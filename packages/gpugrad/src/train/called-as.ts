import { relative } from "node:path";

const isFromSources = (): boolean => process.argv[1]?.endsWith(".ts") === true;

/** How `gpugrad` is called here: by pnpm in its repository, else by its name. */
export const gpugradCommand = (): string => (isFromSources() ? "pnpm gpugrad" : "gpugrad");

/** This very command line with `more` at its end, to be typed again. What it said of `more` before is left out. */
export function asTyped(more: readonly string[], words = process.argv.slice(2)): string {
  const said = (word: string): boolean => word.replaceAll("-", "_").startsWith(more[0]!.replaceAll("-", "_"));
  const at = words.findIndex(said);
  const hasValue =
    at >= 0 && !words[at]!.includes("=") && words[at + 1] !== undefined && !words[at + 1]!.startsWith("--");
  const others = words.filter((_, i) => at < 0 || (i !== at && !(hasValue && i === at + 1)));
  return [program(), ...others.map(quoted), ...more].join(" ");
}

/** What runs this program: a script of package.json by its name, or the file itself. */
function program(): string {
  if (!isFromSources()) return "gpugrad";
  const file = relative(process.cwd(), process.argv[1]!);
  const { npm_lifecycle_event: script, npm_lifecycle_script: line } = process.env;
  return script && line?.includes(file) ? `pnpm ${script}` : `node scripts/run.mjs ${file}`;
}

/** A word as a shell reads it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
