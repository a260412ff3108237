/**
 * `value` (of JSON) as others may see it: in uploads, trackers and reports. A local path keeps what lies below `folder`, or its last part alone:
 * `/home/me/out/checkpoint-9` is `checkpoint-9`. So does a relative one under a name that is about files, such as `train_file`; a model or a
 * dataset may be an id of the Hub, which stays. `hub_token` is left out; a token of the Hub elsewhere is `hf_…`. No other name is looked at:
 * `password` may be a label.
 * @param folder The absolute path of the folder that is shared.
 */
export const shareable = (value: unknown, folder?: string): unknown => shareableUnder("", value, folder);

/** Names of what is a local path, as a whole word in snake_case or camelCase. */
const PATHS =
  /(^|_)(files?|dir|folder|path|checkpoint|trace|init_?classifier)$|(File|Files|Dir|Folder|Path|Checkpoint|Trace|Classifier)$/;

/** Names of what is a local path or an id of the Hub. */
const IDS = /^(model|dataset|_?name_or_path|\w*_name_or_path)$/;

function shareableUnder(name: string, value: unknown, folder: string | undefined): unknown {
  if (typeof value === "string") {
    const isPath = isLocalPath(value) || (IDS.test(name) ? !isId(value) : PATHS.test(name) && /[\\/]/.test(value));
    const text = value === folder || isPath ? relativePath(value, folder) : value;
    return text.replace(/^hf_\w{8,}$|\bhf_[A-Za-z0-9]{16,}/g, "hf_…");
  }
  if (Array.isArray(value)) return value.map((item) => shareableUnder(name, item, folder));
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !/^hub_?token$/i.test(key));
  return Object.fromEntries(kept.map(([key, item]) => [key, shareableUnder(key, item, folder)]));
}

/** Whether a name can be that of a repository of the Hub, or of a split of it: `stanfordnlp/imdb (train)`. */
const isId = (text: string): boolean =>
  /^\w[\w.-]*(\/\w[\w.-]*)?( \([\w.-]+\))?$/.test(text) && !/\.(csv|tsv|jsonl?|parquet|txt|gz)$/i.test(text);

/** A file as others may see it: JSON as {@link shareable} has it, anything else, and what has nothing to hide, as it is. */
export function shareableFile(path: string, bytes: Uint8Array, folder?: string): Uint8Array {
  if (!path.endsWith(".json") || path.endsWith("tokenizer.json")) return bytes; // a tokenizer's strings are texts
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const shared = shareable(value, folder);
    const isSame = JSON.stringify(shared) === JSON.stringify(value);
    return isSame ? bytes : new TextEncoder().encode(`${JSON.stringify(shared, null, 2)}\n`);
  } catch {
    return bytes; // not JSON after all
  }
}

/** An absolute path of two parts or more (a single `/` with a word may be text), of Windows too, or one from `~` or `..` on. */
const isLocalPath = (text: string): boolean =>
  /^(\/[^/\n]+\/[^\n]|[A-Za-z]:[\\/]|\\\\|(~|\.\.)[\\/]|file:\/\/)[^\n]*$/.test(text);

function relativePath(path: string, folder: string | undefined): string {
  const inside = folder !== undefined && /^[\\/]/.test(path.slice(folder.length)) && path.startsWith(folder);
  const parts = (inside ? path.slice(folder.length) : path).split(/[\\/]/).filter((part) => part !== "");
  return inside ? parts.join("/") : (parts.at(-1) ?? "");
}

/**
 * Whether a file, by its path, is one of a model or of the record of a run, which have no texts of the data: weights, configuration,
 * tokenizer, model card, arguments, logs of numbers. Any other may have: predictions, rows, caches, notes, a report that quotes mistakes.
 */
export const holdsNoTexts = (path: string): boolean =>
  /(^|\/)(.+\.(safetensors|bin|pt|pth|onnx|gguf|h5|msgpack)|(pytorch_)?model\.[\w.]+\.index\.json|\w*config\w*\.json|modules\.json|tokenizer\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)|merges\.txt|\w+(\.bpe)?\.model|README\.md|LICENSE(\.\w+)?|\.gitattributes|training_args\.json|trainer_state\.json|(\w+_)?results\.json|log\.(csv|jsonl)|events\.out\.tfevents\.[\w.-]+)$/.test(
    path,
  );
