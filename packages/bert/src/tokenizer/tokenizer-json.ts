import { isObject, type Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import type { AddedToken } from "./added-tokens.ts";
import { brief } from "./stage.ts";

/** The names under which tokenizer_config.json lists special tokens, and what BERT calls them; in Transformers' order. */
export const bertTokens = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
};
export type SpecialToken = "bos_token" | "eos_token" | keyof typeof bertTokens;
/** All of them, in Transformers' order. */
export const specialTokens = ["bos_token", "eos_token", ...Object.keys(bertTokens)] as SpecialToken[];

/** Ids end up in arrays of 32-bit integers. */
const maxId = 2 ** 31 - 1;

/** What a special token is written as: a string, or the `content` of a serialized AddedToken. */
export const contentOf = (token: unknown): string | undefined =>
  typeof token === "string"
    ? token
    : isObject(token) && typeof token["content"] === "string"
      ? token["content"]
      : undefined;

/**
 * tokenizer.json as it takes effect: checked, with what tokenizer_config.json says about normalizing and about added tokens, as
 * Transformers does it.
 *
 * @throws {@link GpugradError} naming the first part that can't be
 */
export function completeTokenizer(
  json: Json,
  config: Json,
): { complete: Json & { added_tokens: AddedToken[] }; vocabulary: Map<string, number> } {
  const where = "tokenizer.json";
  check(isObject(json["model"]), `${where}: model: expected an object. Is it a tokenizer of Hugging Face?`);
  const vocabulary = vocabularyOf(json["model"], where);
  const normalized = withNormalizer(json, config);
  return { complete: { ...normalized, added_tokens: addedTokens(normalized, config, vocabulary) }, vocabulary };
}

/** Ids by token; of a list, the places. */
function vocabularyOf(model: Json, where: string): Map<string, number> {
  const { vocab } = model;
  check(isObject(vocab) || Array.isArray(vocab), `${where}: model.vocab: expected tokens with their ids.`);
  const entries = Array.isArray(vocab)
    ? vocab.map((entry, id) => [(Array.isArray(entry) ? entry[0] : entry) as unknown, id] as const)
    : Object.entries(vocab);
  for (const [token, id] of entries)
    check(
      typeof token === "string" && isId(id),
      () => `${where}: model.vocab: ${brief(token)} has id ${brief(id)}, which is not an integer from 0 to ${maxId}.`,
    );
  return new Map(entries as [string, number][]);
}

export const isId = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxId;

/** tokenizer_config.json's settings of the normalizer come before those of tokenizer.json. */
function withNormalizer(json: Json, config: Json): Json {
  const { normalizer } = json;
  if (!isObject(normalizer) || normalizer["type"] !== "BertNormalizer") return json;
  const settings = [
    ["clean_text", "", true],
    ["handle_chinese_chars", "tokenize_chinese_chars", true],
    ["strip_accents", "strip_accents", null],
    ["lowercase", "do_lower_case", true],
  ] as const;
  const result: Json = { ...normalizer };
  for (const [key, name, fallback] of settings) {
    const [file, value] =
      config[name] === undefined
        ? [`tokenizer.json: normalizer.${key}`, normalizer[key] ?? fallback]
        : [`tokenizer_config.json: ${name}`, config[name]];
    check(
      typeof value === "boolean" || (key === "strip_accents" && value === null),
      () => `${file}: ${brief(value)} is not true or false.`,
    );
    result[key] = value;
  }
  return { ...json, normalizer: result };
}

/**
 * The tokens of tokenizer.json, then `added_tokens_decoder`, the named special tokens and the extra ones of tokenizer_config.json.
 * A token that is new gets the next id, whatever the file says, as in Transformers.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.0.0/src/transformers/tokenization_utils_tokenizers.py `__init__`
 */
function addedTokens(json: Json, config: Json, vocabulary: ReadonlyMap<string, number>): AddedToken[] {
  const tokens = new Map<string, AddedToken>();
  let next = vocabulary.size;
  const add = (token: Omit<AddedToken, "id">, id = vocabulary.get(token.content) ?? next) => {
    const known = tokens.get(token.content);
    tokens.set(token.content, { ...token, id: known?.id ?? id });
    next = Math.max(next, id + 1);
  };
  const list = json["added_tokens"] ?? [];
  check(Array.isArray(list), "tokenizer.json: added_tokens: expected a list.");
  for (const [i, entry] of list.entries()) {
    const where = `tokenizer.json: added_tokens[${i}]`;
    const id = isObject(entry) ? entry["id"] : undefined;
    check(isId(id), () => `${where}: id: ${brief(id)} is not an integer from 0 to ${maxId}.`);
    const token = readToken(entry, where);
    add(token, vocabulary.get(token.content) ?? id);
  }

  const isBert = isObject(json["normalizer"]) && json["normalizer"]["type"] === "BertNormalizer";
  const named = namedTokens(config, isBert);
  const isNamed = new Set(named.map(([, token]) => contentOf(token)));
  const decoder = config["added_tokens_decoder"] ?? {};
  check(isObject(decoder), "tokenizer_config.json: added_tokens_decoder: expected tokens by their ids.");
  for (const [id, entry] of Object.entries(decoder).sort(([a], [b]) => Number(a) - Number(b))) {
    const token = readToken(entry, `tokenizer_config.json: added_tokens_decoder["${id.slice(0, 20)}"]`);
    add({ ...token, special: token.special || isNamed.has(token.content) });
  }
  const extra = config["extra_special_tokens"] ?? config["additional_special_tokens"] ?? [];
  check(Array.isArray(extra) || isObject(extra), "tokenizer_config.json: extra_special_tokens: expected a list.");
  for (const [name, entry] of [
    ...named,
    ...Object.values(extra).map((token) => ["extra_special_tokens", token] as const),
  ]) {
    const token = readToken(entry, `tokenizer_config.json: ${name}`, true);
    if (tokens.has(token.content)) continue;
    if (name in config || name === "extra_special_tokens" || vocabulary.has(token.content)) add(token);
    else next++; // Transformers adds BERT's tokens to a vocabulary that lacks them; here they are missing, and later ids the same
  }
  tokens.delete("");
  return [...tokens.values()].sort((a, b) => a.id - b.id);
}

/** The special tokens that tokenizer_config.json names, and BERT's where it doesn't, in the order in which Transformers adds them. */
function namedTokens(config: Json, isBert: boolean): (readonly [name: string, token: unknown])[] {
  const names = Object.keys(config).filter(
    (key) => key.endsWith("_token") && (typeof config[key] === "string" || isObject(config[key])),
  );
  const first = specialTokens.filter((name) => names.includes(name) || (isBert && name in bertTokens));
  return [...new Set<string>([...first, ...names])].map((name) => [
    name,
    config[name] ?? (bertTokens as Record<string, string>)[name],
  ]);
}

/** A token as files write it. With `special` it may be a string, and is special where the file doesn't say. */
function readToken(entry: unknown, where: string, special = false): Omit<AddedToken, "id"> {
  const content = special || isObject(entry) ? contentOf(entry) : undefined;
  check(content !== undefined, () => `${where}: ${brief(entry)} is not a token: expected its content.`);
  const given: Json = isObject(entry) ? entry : {};
  const flag = (key: keyof AddedToken, fallback: boolean): boolean => {
    const value = given[key] ?? fallback;
    check(typeof value === "boolean", () => `${where}: ${key}: ${brief(value)} is not true or false.`);
    return value;
  };
  const isSpecial = flag("special", special);
  return {
    content,
    single_word: flag("single_word", false),
    lstrip: flag("lstrip", false),
    rstrip: flag("rstrip", false),
    normalized: flag("normalized", !isSpecial),
    special: isSpecial,
  };
}

/** Transformers writes 10³⁰ where a tokenizer has no limit. */
const noLimit = 1e18;

/** `model_max_length` of tokenizer_config.json, which was once called `max_len`. */
export function limitOf(config: Json): number {
  const limit = config["model_max_length"] ?? config["max_len"] ?? noLimit;
  check(
    typeof limit === "number" && limit >= 1 && Number.isInteger(limit),
    () => `tokenizer_config.json: model_max_length: ${JSON.stringify(limit)} is not a positive integer.`,
  );
  return limit < noLimit ? limit : Infinity;
}

export function sideOf(config: Json, key: "padding_side" | "truncation_side"): "left" | "right" {
  const side = config[key] ?? "right";
  check(
    side === "left" || side === "right",
    () => `tokenizer_config.json: ${key}: ${JSON.stringify(side)} is neither "left" nor "right".`,
  );
  return side;
}
