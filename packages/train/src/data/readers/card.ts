import { globMatcher } from "@gpugrad/bert";
import { DataError } from "../../errors.ts";
import { namedError } from "../named.ts";
import { shownText } from "../shown.ts";

/** What a dataset's card (the front matter of its README.md) says about the files. */
export type DatasetCard = {
  /** Configurations that name their files, by configuration and split: glob patterns. */
  dataFiles: Map<string, Map<string, string[]>>;
  /** The configuration that is meant when none is asked for. */
  defaultConfig?: string;
  /** Names of class ids by configuration and column. */
  classNames: Map<string, ReadonlyMap<string, readonly string[]>>;
};

/** The front matter ends within this many characters. */
export const MAX_FRONT_MATTER = 1 << 20;

/** Patterns and class names of a card: with aliases, a short text can repeat a long list very often. */
const MAX_NAMES = 100_000;

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
const field = (of: unknown, name: string): unknown => (isFields(of) && Object.hasOwn(of, name) ? of[name] : undefined);
/** A name; YAML reads some as numbers or truth values. */
const nameOf = (value: unknown): string | undefined =>
  ["string", "number", "boolean"].includes(typeof value) ? String(value) : undefined;

/**
 * Reads the front matter. A card without one, or with one that is not YAML, says nothing; neither does a part of it that is of another kind
 * than it should be.
 *
 * @throws {@link DataError} for a front matter beyond all measure, or class names with gaps
 * @see https://huggingface.co/docs/hub/datasets-manual-configuration
 */
export async function parseCard(readme: string, name = "README.md"): Promise<DatasetCard> {
  const card: DatasetCard = { dataFiles: new Map(), classNames: new Map() };
  if (!/^---\r?\n/.test(readme)) return card;
  const text = /^---\r?\n(.*?)\r?\n---/s.exec(readme.slice(0, MAX_FRONT_MATTER))?.[1];
  if (text === undefined) {
    if (readme.length < MAX_FRONT_MATTER) return card;
    throw new DataError(`${name}: its front matter has more than ${MAX_FRONT_MATTER} characters.`);
  }
  const { load } = await import("js-yaml");
  let front: unknown;
  try {
    front = load(text);
  } catch {
    return card;
  }
  let count = 0;
  const counted = (names: readonly unknown[]): string[] => {
    if ((count += names.length) > MAX_NAMES) {
      throw new DataError(`${name}: names more than ${MAX_NAMES.toLocaleString("en-US")} files and classes.`);
    }
    return names.map(nameOf).filter((each) => each !== undefined);
  };

  for (const config of listOf(field(front, "configs"))) {
    const configName = nameOf(field(config, "config_name")) ?? "default";
    const splits = new Map<string, string[]>();
    for (const entry of listOf(field(config, "data_files"))) {
      const split = nameOf(field(entry, "split")) ?? "train";
      const paths = counted(isFields(entry) ? listOf(field(entry, "path")) : [entry]);
      const known = splits.get(split);
      if (known) for (const path of paths) known.push(path);
      else splits.set(split, paths);
    }
    if (splits.size > 0) card.dataFiles.set(configName, splits);
    if (field(config, "default") === true || configName === "default") card.defaultConfig = configName;
  }
  for (const info of listOf(field(front, "dataset_info"))) {
    const columns = new Map<string, readonly string[]>();
    for (const feature of listOf(field(info, "features"))) {
      const [column, names] = [
        nameOf(field(feature, "name")),
        field(field(field(feature, "dtype"), "class_label"), "names"),
      ];
      if (column !== undefined && isFields(names)) columns.set(column, counted(inOrder(names, `${name}: ${column}`)));
      else if (column !== undefined && Array.isArray(names)) columns.set(column, counted(names));
    }
    if (columns.size > 0) card.classNames.set(nameOf(field(info, "config_name")) ?? "default", columns);
  }
  return card;
}

/** The names behind the keys '0', '1', … */
function inOrder(names: Fields, what: string): unknown[] {
  const count = Object.keys(names).length;
  return Array.from({ length: count }, (_, id) => {
    if (Object.hasOwn(names, id)) return names[id];
    throw new DataError(`${what} has ${count} class names, but none for id ${id}.`);
  });
}

/** Steps that all patterns of a card may take together, some nanoseconds each. */
const MAX_STEPS = 3e8;

/**
 * Which of the files a card's patterns name, one list of patterns after another.
 * @throws {@link DataError} where patterns and files are so many that matching would take minutes
 */
export function fileFinder(files: readonly string[], name: string): (patterns: readonly string[]) => string[] {
  let steps = 0;
  return (patterns) => {
    const matchers = patterns.map((pattern) => {
      const beginning = /^[^*?]*/.exec(pattern)![0];
      const matches = beginning === pattern ? (path: string) => path === pattern : matcher(pattern, name);
      return (path: string): boolean => {
        steps += path.startsWith(beginning) ? (pattern.length - beginning.length + 1) * path.length : 1;
        if (steps > MAX_STEPS) {
          throw new DataError(
            `${name}: the patterns of its card are too many for ${files.length} files, such as ${shownText(pattern)}. ` +
              "Name files with --train_file (DataFiles).",
          );
        }
        return path.startsWith(beginning) && matches(path);
      };
    });
    return files.filter((file) => matchers.some((matches) => matches(file)));
  };
}

function matcher(pattern: string, name: string): (path: string) => boolean {
  try {
    return globMatcher(pattern);
  } catch (error) {
    throw namedError(`${name}: its card`, error);
  }
}
