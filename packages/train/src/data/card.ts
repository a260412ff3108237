/** What a dataset's card (the front matter of its README.md) says about the files. */
export type DatasetCard = {
  /** Configurations that name their files, by configuration and split: glob patterns. */
  dataFiles: Map<string, Map<string, string[]>>;
  /** The configuration that is meant when none is asked for. */
  defaultConfig?: string;
  /** Names of class ids by configuration and column. */
  classNames: Map<string, Record<string, string[]>>;
};

type Named = { config_name?: string };
type Config = Named & {
  default?: boolean;
  data_files?: string | (string | { split: string; path: string | string[] })[];
};
type Feature = { name: string; dtype?: { class_label?: { names?: Record<string, string> | string[] } } | string };
type Front = {
  configs?: Config[];
  dataset_info?: (Named & { features?: Feature[] }) | (Named & { features?: Feature[] })[];
};

const listOf = <T>(value: T | T[] | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

/**
 * Reads the front matter; a card without one, or with one that is no YAML, says nothing.
 * @see https://huggingface.co/docs/hub/datasets-manual-configuration
 */
export async function parseCard(readme: string): Promise<DatasetCard> {
  const card: DatasetCard = { dataFiles: new Map(), classNames: new Map() };
  const text = /^---\r?\n(.*?)\r?\n---/s.exec(readme)?.[1];
  if (text === undefined) return card;
  const { parse } = await import("yaml");
  let front: Front | null;
  try {
    front = parse(text) as Front | null;
  } catch {
    return card;
  }
  for (const { config_name = "default", default: isDefault, data_files } of listOf(front?.configs)) {
    const splits = new Map<string, string[]>();
    for (const entry of listOf<string | { split: string; path: string | string[] }>(data_files)) {
      const { split, path } = typeof entry === "string" ? { split: "train", path: entry } : entry;
      splits.set(split, [...(splits.get(split) ?? []), ...listOf(path)]);
    }
    if (splits.size > 0) card.dataFiles.set(config_name, splits);
    if (isDefault || config_name === "default") card.defaultConfig = config_name;
  }
  for (const { config_name = "default", features } of listOf(front?.dataset_info)) {
    const columns = listOf(features).flatMap(({ name, dtype }) => {
      const names = typeof dtype === "object" ? dtype.class_label?.names : undefined;
      return names ? [[name, Object.values(names)] as const] : []; // keys '0', '1', … keep their order in an object
    });
    if (columns.length > 0) card.classNames.set(config_name, Object.fromEntries(columns));
  }
  return card;
}

/** A glob pattern as an expression: `*` within a folder, `**` across folders, `?` one character. */
export function globPattern(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*\*\/?|\*|\?/g, (token) => (token.startsWith("**") ? ".*" : token === "*" ? "[^/]*" : "[^/]"));
  return new RegExp(`^${source}$`);
}
