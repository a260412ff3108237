import { isObject, type Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import type { AddedToken } from "./added-tokens.ts";
import type { BertPipeline, WordPieceModel } from "./aligned.ts";

/** A place in the template that post-processing fills: a special token, the first or the second text. */
export interface Slot {
  text?: "A" | "B";
  ids: number[];
  type: number;
}

/** The names under which tokenizer_config.json lists special tokens, and what BERT calls them; in Transformers' order. */
export const bertTokens = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
};
export type SpecialToken = keyof typeof bertTokens;

/** Ids end up in arrays of 32-bit integers. */
const maxId = 2 ** 31 - 1;
/** Splitting a word takes time that grows with the square of its length. */
const maxWordLength = 1000;

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
export function completeTokenizer(json: Json, config: Json): Json & { added_tokens: AddedToken[] } {
  const where = "tokenizer.json";
  check(isObject(json["model"]), `${where}: model: expected an object. Is it a tokenizer of Hugging Face?`);
  const vocabulary = vocabularyOf(json["model"], where);
  const normalized = withNormalizer(json, config);
  return { ...normalized, added_tokens: addedTokens(normalized, config, vocabulary) };
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

const isId = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxId;
const brief = (value: unknown): string => (isObject(value) ? "an object" : String(JSON.stringify(value)).slice(0, 60));

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
  const first = ["bos_token", "eos_token", ...Object.keys(bertTokens)];
  const all = new Set([...first.filter((name) => names.includes(name) || (isBert && name in bertTokens)), ...names]);
  return [...all].map((name) => [name, config[name] ?? bertTokens[name as SpecialToken]]);
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

/** BERT's pipeline, whose tokens have offsets; undefined when tokenizer.json describes another one. */
export function bertPipeline(json: Json & { added_tokens: AddedToken[] }, config: Json): BertPipeline | undefined {
  const type = (part: unknown) => (isObject(part) ? part["type"] : undefined);
  const model = json["model"] as Json;
  const isWordPiece =
    model["type"] === "WordPiece" || (model["type"] === undefined && "max_input_chars_per_word" in model);
  if (
    type(json["normalizer"]) !== "BertNormalizer" ||
    type(json["pre_tokenizer"]) !== "BertPreTokenizer" ||
    !isWordPiece
  )
    return undefined;
  const {
    unk_token = "[UNK]",
    continuing_subword_prefix: prefix = "##",
    max_input_chars_per_word: maxLength = 100,
  } = model as Partial<Record<keyof WordPieceModel, unknown>>;
  check(
    typeof unk_token === "string" && typeof prefix === "string",
    "tokenizer.json: model.unk_token, model.continuing_subword_prefix: expected strings.",
  );
  check(
    Number.isInteger(maxLength) && (maxLength as number) > 0 && (maxLength as number) <= maxWordLength,
    () =>
      `tokenizer.json: model.max_input_chars_per_word: ${brief(maxLength)} is not an integer from 1 to ${maxWordLength}.`,
  );
  return {
    normalizer: json["normalizer"] as BertPipeline["normalizer"],
    addedTokens: json.added_tokens,
    splitSpecialTokens: config["split_special_tokens"] === true,
    model: {
      vocab: model["vocab"] as WordPieceModel["vocab"],
      unk_token,
      continuing_subword_prefix: prefix,
      max_input_chars_per_word: maxLength as number,
    },
  };
}

/** The templates of the post-processor, for one text and for two. */
export function templatesOf(processor: unknown, idOf: (token: string) => number): [Slot[], Slot[]] {
  const where = "tokenizer.json: post_processor";
  const text = (name: "A" | "B", type: number): Slot => ({ text: name, ids: [], type });
  const special = (token: string, type: number): Slot => ({ ids: [idOf(token)], type });
  if (!isObject(processor)) return [[text("A", 0)], [text("A", 0), text("B", 1)]];
  switch (processor["type"]) {
    case "TemplateProcessing": {
      const tokens = isObject(processor["special_tokens"]) ? processor["special_tokens"] : {};
      const slot = (item: unknown): Slot => {
        const [[kind, value] = []] = isObject(item) ? Object.entries(item) : [];
        const { id, type_id: type = 0 } = isObject(value) ? value : {};
        check(
          (kind === "Sequence" ? id === "A" || id === "B" : kind === "SpecialToken" && typeof id === "string") &&
            isId(type),
          () => `${where}: ${JSON.stringify(item)?.slice(0, 60)} is neither a Sequence A or B nor a SpecialToken.`,
        );
        if (kind === "Sequence") return text(id as "A" | "B", type);
        const token = Object.hasOwn(tokens, id as string) ? tokens[id as string] : undefined;
        const ids = isObject(token) ? token["ids"] : [idOf(id as string)];
        check(
          Array.isArray(ids) && ids.every(isId),
          () => `${where}: special_tokens: "${String(id)}" has no list of ids.`,
        );
        return { ids, type };
      };
      return (["single", "pair"] as const).map((name) => {
        const items = processor[name];
        check(Array.isArray(items), () => `${where}: ${name}: expected a list.`);
        const slots = items.map(slot);
        check(
          name === "pair" || slots.every((filled) => filled.text !== "B"),
          () => `${where}: single: names Sequence B, but there is only one text.`,
        );
        return slots;
      }) as [Slot[], Slot[]];
    }
    case "Sequence": {
      // ByteLevel only trims offsets, which are not kept for such tokenizers.
      const list = processor["processors"];
      check(Array.isArray(list), () => `${where}: processors: expected a list.`);
      const [template, ...others] = list.filter((part) => !isObject(part) || part["type"] !== "ByteLevel") as unknown[];
      check(
        others.length === 0,
        () => `${where}: processors: more than one that adds special tokens is not supported.`,
      );
      return templatesOf(template, idOf);
    }
    case "BertProcessing":
    case "RobertaProcessing": {
      const [sep, cls] = ["sep", "cls"].map((name) => {
        const pair = processor[name];
        check(
          Array.isArray(pair) && typeof pair[0] === "string",
          () => `${where}: ${name}: expected a token and its id.`,
        );
        return pair[0];
      }) as [string, string];
      const roberta = processor["type"] === "RobertaProcessing"; // two separators between the texts, and one type
      const between = roberta ? [special(sep, 0), special(sep, 0)] : [special(sep, 0)];
      const second = roberta ? 0 : 1;
      return [
        [special(cls, 0), text("A", 0), special(sep, 0)],
        [special(cls, 0), text("A", 0), ...between, text("B", second), special(sep, second)],
      ];
    }
    default:
      return [[text("A", 0)], [text("A", 0), text("B", 1)]];
  }
}

/** tokenizer.json of a BERT that has only a vocabulary. */
export function tokenizerOfVocabulary(tokens: readonly string[], config: Json): Json {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const [cls, sep, unk] = (["cls_token", "sep_token", "unk_token"] as const).map((key) => {
    const token = contentOf(config[key]) ?? bertTokens[key];
    check(Object.hasOwn(vocab, token), () => `vocab.txt: no ${token}. Is it BERT's vocabulary?`);
    return token;
  }) as [string, string, string];
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const text = (id: "A" | "B", type_id: number) => ({ Sequence: { id, type_id } });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [special(cls, 0), text("A", 0), special(sep, 0)],
      pair: [special(cls, 0), text("A", 0), special(sep, 0), text("B", 1), special(sep, 1)],
      special_tokens: Object.fromEntries(
        [cls, sep].map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }]),
      ),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: unk, continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab },
  };
}
